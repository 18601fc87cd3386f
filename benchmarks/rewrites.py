"""What the graph rewrites are worth: a plain `torch.onnx.export` against our export, per rewrite and in all.

    python benchmarks/rewrites.py --write docs/benchmarks.md        # every network at its paper's size
    python benchmarks/rewrites.py --only ds-sidenet-low edge-low    # these; what is done already is not done again
    python benchmarks/rewrites.py prepare                           # everything but the times: the machine may be busy

Three steps: `prepare` writes the graphs (with their INT8 forms, and counts the kernels of TensorRT-RTX engines where
that is installed; no GPU is needed), `time` runs them in turn, and `report` prints the tables. Each keeps what it made
in `--folder` and a second run goes on where the first ended; `--again` does not. The exit code is 1 if a promise is
broken (`rewrites_report.py`). Weights are random: they change no time. On a machine that does other work, use
`--threads 1`: CPU time is measured then. The page has a summary for each number of threads, and what each rewrite is
worth by itself for one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pages import write_section
from rewrites_forms import prepare
from rewrites_report import broken_promises, each_rewrite, summary
from rewrites_times import load_times, take_times

from edgedepth.core.spec import parse_size
from edgedepth.trainers.models.registry import classifier_names, network_names

STEPS = ("prepare", "time", "report")


def main() -> int:
    """Do the steps asked for, of the networks asked for."""
    every = (*network_names(), *classifier_names())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="?", choices=("all", *STEPS), default="all")
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="NAME", help="these networks only")
    parser.add_argument("--size", type=parse_size, help="input size WxH of the depth networks; each one's own if not")
    parser.add_argument("--folder", type=Path, default=Path("runs/rewrites"))
    parser.add_argument("--again", action="store_true", help="do again what is done")
    parser.add_argument("--seconds", type=float, default=60, help="of timing per network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", type=Path, help="page whose marked tables are replaced")
    given = parser.parse_args()
    steps = STEPS if given.step == "all" else (given.step,)
    for name in given.only:
        folder = given.folder / name
        if "prepare" in steps and (given.again or not (folder / "forms.json").is_file()):
            print(f"preparing {name}", file=sys.stderr)
            prepare(name, given.size, folder)
            (folder / "times.json").unlink(missing_ok=True)
        if "time" in steps and (given.again or not (folder / "times.json").is_file()):
            print(f"timing {name}", file=sys.stderr)
            take_times(folder, seconds=given.seconds, threads=given.threads)
    return _report(given.folder, every, given.write) if "report" in steps else 0


def _report(folder: Path, names: tuple[str, ...], page: Path | None) -> int:
    """Print, and write, the tables of all networks that are timed; 1 if a promise is broken."""
    timed = [name for name in names if (folder / name / "times.json").is_file()]
    sections = {}
    for threads in sorted({load_times(folder / name).threads for name in timed}):
        alike = [name for name in timed if load_times(folder / name).threads == threads]
        sections["rewrites" if threads == 1 else f"rewrites-{threads}-threads"] = list(summary(folder, alike))
        if threads == 1:
            sections["rewrites-each"] = list(each_rewrite(folder, alike))
    for section, lines in sections.items():
        print("\n".join(lines), end="\n\n")
        if page is not None:
            write_section(page, section, lines)
    broken = broken_promises(folder, timed)
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
