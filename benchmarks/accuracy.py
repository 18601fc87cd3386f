"""The tables of docs/accuracy.md: a bundle on rendered scenes and on real samples.

    edgedepth synth rooms --world indoor --count 3348 --size 320x240 --seed 1 --views-per-scene 3 --split test
    edgedepth synth streets --world street --count 2988 --size 384x220 --seed 1 --views-per-scene 3 --split test
    edgedepth synth plain --world bare --count 160 --size 320x240 --seed 7 --views-per-scene 2
    edgedepth synth walk --world walk --count 72 --size 384x216 --seed 11
    edgedepth synth company --world company --count 2400 --size 320x240 --seed 7 --views-per-scene 2 --split test
    edgedepth synth crossing --world crossing --count 2400 --size 384x220 --seed 7 --views-per-scene 2 --split test
    edgedepth synth scan --world scan --count 2400 --size 320x240 --seed 7 --views-per-scene 2 --split test
    edgedepth synth close --world close --count 2400 --size 320x240 --seed 7 --views-per-scene 2 --split test
    edgedepth synth drive --world drive --count 2400 --size 384x220 --seed 7 --views-per-scene 2 --split test
    edgedepth synth weather --world weather --count 2400 --size 384x220 --seed 7 --views-per-scene 2 --split test
    edgedepth synth halls --world halls --count 2400 --size 320x240 --seed 7 --views-per-scene 2 --split test
    python benchmarks/accuracy.py all default --unseen synth:rooms --unseen synth:streets --unseen synth:company \
        --unseen synth:crossing --unseen synth:weather --unseen synth:halls --unseen synth:drive --unseen synth:scan \
        --unseen synth:close --style synth:plain --style synth:walk --write docs/accuracy.md

Or one of them: `rendered` (test splits of sets that were trained on, and sets of styles that were not), `real`
(labelled real frames), `router` (real photos and videos), `edges` (outlines of things), `rest` (flicker where a video
stands still). Real samples are found through the environment variable EDGEDEPTH_SAMPLES (a folder with pairs.json,
router/ and video/) or in shared/data beside the clone; `--pictures` draws them into an untracked folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from accuracy_edges import edges
from accuracy_real import VIDEO_ROUTES, real, router, samples_folder
from accuracy_rendered import rendered
from accuracy_rest import flicker
from pages import write_section

from edgedepth import DepthRuntime
from edgedepth.core.errors import EdgeDepthError

AT_REST = "indoor_people.mp4"  # a fixed camera

TABLES: dict[str, Callable[[DepthRuntime, argparse.Namespace], Iterator[str]]] = {
    "rendered": lambda runtime, given: rendered(runtime, given.unseen, given.style),
    "real": lambda runtime, given: real(runtime, samples_folder(), given.pictures),
    "router": lambda runtime, given: router(runtime, samples_folder(), given.pictures),
    "edges": lambda runtime, given: edges(
        runtime.bundle, runtime.backend, runtime.precision, given.threads, given.unseen
    ),
    "rest": lambda runtime, _: flicker(runtime, samples_folder() / "video" / AT_REST, VIDEO_ROUTES[AT_REST]),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", *TABLES))
    parser.add_argument("bundle", nargs="?", default="default")
    parser.add_argument("--unseen", action="append", default=[], help="a rendered set, of which the test split counts")
    parser.add_argument("--style", action="append", default=[], help="a rendered set that nothing was trained on")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", type=Path, help="page whose marked tables are replaced")
    parser.add_argument("--pictures", type=Path, help="untracked folder for contact sheets")
    given = parser.parse_args(arguments)
    try:
        with DepthRuntime.load(
            given.bundle, backend=given.backend, precision=given.precision, threads=given.threads
        ) as runtime:
            for name in TABLES if given.what == "all" else (given.what,):
                lines = []
                for line in TABLES[name](runtime, given):
                    print(line, flush=True)
                    lines.append(line)
                if given.write is not None:
                    write_section(given.write, name, lines)
    except EdgeDepthError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
