"""Errors of other packages, told in one line."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """What an error says: its first line, or the first finding of a validation report."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if "validation error" in lines[0]:  # pydantic: a count, then each field and its finding on lines of their own
        return ": ".join(lines[1:3])
    return lines[0]
