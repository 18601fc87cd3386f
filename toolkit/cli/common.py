"""What several commands share: printing results and reading option values."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Literal

from edgedepth.core.routing import Route

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

RouteChoice = Literal["auto", "low", "high"]
JSON_HELP = "Print one machine-readable object on stdout; everything else goes to stderr."


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")


def plain_console() -> Console:
    """A console on stdout that prints brackets as they are: names and notes come out of files."""
    from rich.console import Console

    return Console(markup=False)


def plain_table(*titles: str, title: str | None = None) -> Table:
    """A table that wraps what is too long and cuts nothing off: names and remedies are to be copied."""
    from rich.table import Column, Table

    return Table(*(Column(each, overflow="fold") for each in titles), title=title)


def say(message: str) -> None:
    """Print a line for people, on stderr."""
    print(message, file=sys.stderr)


def forced_route(choice: RouteChoice) -> Route | None:
    """The route a choice forces; auto forces none."""
    return None if choice == "auto" else Route(choice)
