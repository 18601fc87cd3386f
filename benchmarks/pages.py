"""Tables in pages of the documentation: each stands between marks, where the command that made it puts it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgedepth.core.files import write_atomic


def write_section(page: Path, name: str, lines: Sequence[str]) -> None:
    """Put lines between the marks `<!-- NAME -->` and `<!-- /NAME -->` of a page.

    Raises:
        ValueError: the page does not have the marks.
    """
    marks = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    text, found = marks.subn(lambda match: match[1] + "\n".join(lines) + "\n" + match[2], page.read_text())
    if found != 1:
        raise ValueError(
            f"{page} needs the marks <!-- {name} --> and <!-- /{name} --> once, but has them {found} times"
        )
    write_atomic(page, text)
