"""Losses; `objectives` says which of them a network is trained by."""
