"""Rooms: `recipes` makes one scene of a near category; the others are what rooms are made of."""
