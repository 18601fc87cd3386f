"""Tables of docs/int8.md: INT8 against floating point, and against other calibrators.

    edgedepth export default --fp16 --int8 -o runs/int8
    python benchmarks/int8.py all runs/int8 --data synth:ROOMS --data synth:STREETS --data pairs:FILE \
        --modelopt VENV/bin/python --write docs/int8.md       # every table, put between its marks in the page

Or one of them: `accuracy` (every file of the bundle), `recipes` (every method for ranges, and each correction),
`forms` (what each choice of OpenVINO's form is worth), `speed` (every file on CPU backends), `designs` (networks at
the sizes they were designed for, random weights, DS-SIDENet low among them), `calibrators` (ranges against
onnxruntime's and ModelOpt's), `tensorrt` (are the convolutions of TensorRT-RTX engines INT8? no GPU needed).

Accuracy is unaligned, protocol `native`, camera given, the true route's network, mean over images; of synthetic sets
the test split. Files are timed in turn in one run, so that a busy machine slows them alike. ModelOpt pins other
versions of our packages, so it runs in an environment of its own, by the name of that environment's Python:
`python -m venv VENV && VENV/bin/pip install torch nvidia-modelopt[onnx]`.

With `--keep FOLDER` a finished table is kept there, and taken from there while its bundle and options are the same: a
run can be broken off, or its tables made by several processes; `all` then puts them together.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from int8_accuracy import accuracy, forms, recipes
from int8_calibrators import calibrators
from int8_speed import designs, speed
from int8_tensorrt import tensorrt
from pages import write_section

from edgedepth import Bundle


@dataclass(frozen=True)
class Table:
    """How a table is made, and what it depends on: options of the command, and the bundle."""

    make: Callable[[argparse.Namespace], Iterator[str]]
    options: tuple[str, ...]
    of_bundle: bool = True

    def key(self, given: argparse.Namespace) -> str:
        """Tells tables apart that are made otherwise."""
        bundle = Bundle.load(given.bundle).digest if self.of_bundle else ""
        return hashlib.sha256(repr([bundle, *(getattr(given, name) for name in self.options)]).encode()).hexdigest()


TABLES: dict[str, Table] = {
    "accuracy": Table(lambda given: accuracy(Bundle.load(given.bundle), given.data, given.limit), ("data", "limit")),
    "recipes": Table(
        lambda given: recipes(Bundle.load(given.bundle), given.data, given.limit, given.calib),
        ("data", "limit", "calib"),
    ),
    "forms": Table(
        lambda given: forms(Bundle.load(given.bundle), given.data, given.limit, given.threads, given.rounds),
        ("data", "limit", "threads", "rounds"),
    ),
    "speed": Table(lambda given: speed(Bundle.load(given.bundle), given.threads, given.rounds), ("threads", "rounds")),
    "designs": Table(lambda given: designs(given.threads, given.rounds), ("threads", "rounds"), of_bundle=False),
    "calibrators": Table(
        lambda given: calibrators(Bundle.load(given.bundle), given.calib, given.modelopt), ("calib", "modelopt")
    ),
    "tensorrt": Table(lambda given: tensorrt(given.network, (192, 128)), ("network",), of_bundle=False),
}


def lines_of(name: str, given: argparse.Namespace) -> Iterator[str]:
    """The lines of a table: from the folder where finished ones are kept, or else made."""
    table = TABLES[name]
    kept = None if given.keep is None else given.keep / f"{name}-{table.key(given)[:12]}.md"
    if kept is not None and kept.is_file():
        yield from kept.read_text().splitlines()
        return
    lines = []
    for line in table.make(given):
        yield line
        lines.append(line)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("\n".join(lines))


def main() -> None:
    """Parse, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", *TABLES))
    parser.add_argument("bundle", nargs="?", default="default", help="a calibrated bundle")
    parser.add_argument("--data", action="append", default=[], help="labelled data, as kind:path")
    parser.add_argument("--calib", default="world", help="frames that recipes and calibrators observe")
    parser.add_argument("--limit", type=int, help="at most so many samples of each data set and route")
    parser.add_argument("--threads", type=int, default=1, help="1 measures CPU time, more the clock on the wall")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--modelopt", type=Path, help="the Python of an environment with ModelOpt")
    parser.add_argument("--network", action="append", help="for tensorrt: this network only; may be given often")
    parser.add_argument("--keep", type=Path, help="folder of finished tables, which are not made again")
    parser.add_argument("--write", type=Path, help="page whose marked tables are replaced")
    given = parser.parse_args()
    for name in TABLES if given.what == "all" else (given.what,):
        lines = []
        for line in lines_of(name, given):
            print(line, flush=True)
            lines.append(line)
        if given.write is not None:
            write_section(given.write, name, lines)


if __name__ == "__main__":
    main()
