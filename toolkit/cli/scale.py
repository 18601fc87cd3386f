"""`edgedepth scale`: metric scale of a bundle for your camera, from a tape measure or sparse depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedepth.cli.camera import CAMERA_HELP, RECTIFY_HELP, nothing_to_rectify, parse_camera, view_of_source
from edgedepth.cli.common import JSON_HELP, RouteChoice, forced_route, print_json, say
from edgedepth.core.errors import InputError

if TYPE_CHECKING:
    from edgedepth.core.bundle import Bundle
    from edgedepth.core.manifest import MetricScale
    from edgedepth.core.results import DepthResult
    from edgedepth.core.routing import Route
    from edgedepth.io.frames import Frame
    from edgedepth.runtime.depth_runtime import DepthRuntime
    from edgedepth.runtime.metric_scale import Region


def scale(
    bundle: Annotated[str, typer.Argument(help="Bundle folder, or 'default' with -o.")],
    source: Annotated[str, typer.Argument(help="What your camera sees: an image, a video or a camera index.")] = "0",
    distance: Annotated[
        float | None, typer.Option(help="Metres from the camera to what fills the region, along the optical axis.")
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            "--roi", metavar="X,Y,W,H", help="The region in pixels, of the frame as rectified; the middle if not given."
        ),
    ] = None,
    sparse: Annotated[
        Path | None,
        typer.Option(help="CSV of sparse depth of the first frame, as rectified: u,v,depth_m, or x,y,z with --camera."),
    ] = None,
    shift: Annotated[bool, typer.Option("--shift", help="Also fit a constant shift (needs --sparse).")] = False,
    camera: Annotated[str | None, typer.Option(help=CAMERA_HELP)] = None,
    no_rectify: Annotated[bool, typer.Option("--no-rectify", help=RECTIFY_HELP)] = False,
    route: Annotated[RouteChoice, typer.Option(help="auto lets the router decide; low, high force a route.")] = "auto",
    max_frames: Annotated[int, typer.Option(min=1, help="Frames to measure on.")] = 30,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the stored scales out again; with --route that one.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the changed bundle; in place if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Fit the factor between a bundle's depth and your camera's, from a known distance or points, and store it.

    Focal length is corrected first: give --camera here and when running. --undo takes the scale out again.

    Example: edgedepth scale mybundle wall.jpg --distance 2.0 --camera 525,525,319.5,239.5
    """
    from edgedepth.core.bundle import Bundle, editable
    from edgedepth.io.sources import open_source

    if undo:
        if distance is not None or sparse is not None:
            raise InputError("--undo takes no measurement; leave --distance and --sparse out")
        opened = editable(bundle, output)
        stored: dict[Route, MetricScale | None] = {
            kind: None
            for kind, network in opened.manifest.networks.items()
            if network.scale is not None and forced_route(route) in (None, kind)
        }
    else:
        if (distance is None) == (sparse is None):
            raise InputError("give either --distance METRES or --sparse FILE.csv, or --undo")
        if shift and sparse is None:
            raise InputError("one distance tells no shift; --shift needs --sparse")
        # nothing is copied or changed before the measurement is good
        read, rectify = Bundle.load(bundle), not no_rectify
        measured = _Measured(
            distance=distance, region=None if roi is None else _region(roi), sparse=sparse, shift=shift
        )
        given = None if camera is None else parse_camera(camera, rectify=rectify)
        with open_source(source) as frames:
            if no_rectify and nothing_to_rectify(camera, frames):
                say("warning: --no-rectify has no use without a calibration")
            view = given or view_of_source(frames, rectify=rectify)
            seen = islice(frames if view is None else map(view, frames), max_frames)
            stored = dict([measured.fit(read, seen, forced_route(route), source)])
        opened = editable(bundle, output)
    from edgedepth.runtime.metric_scale import store_scale

    changed = store_scale(opened, stored)
    if as_json:
        print_json(_describe(changed))
        return
    for kind, entry in stored.items():
        say(f"{kind}: {_words(entry)}")
    say(f"wrote {changed.folder}" if stored else f"no scale is stored in {changed.folder}")


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What somebody measured: `distance` metres to what fills a region of every frame, or points of the first one."""

    distance: float | None
    region: Region | None
    sparse: Path | None
    shift: bool

    def fit(
        self, bundle: Bundle, frames: Iterable[Frame], route: Route | None, source: str
    ) -> tuple[Route, MetricScale]:
        """The scale that frames of `source` ask for, and the route whose network it is of."""
        from edgedepth.runtime.depth_runtime import DepthRuntime
        from edgedepth.runtime.metric_scale import (
            fit_scale,
            pairs_at_distance,
            pairs_at_points,
            read_points,
            without_scale,
        )

        with DepthRuntime.load(without_scale(bundle)) as runtime:
            results = _results(runtime, frames, route)
            first = next(results, None)
            if first is None:
                raise InputError(f"{source} gives no frame to measure on")
            if self.sparse is None:
                assert self.distance is not None
                pairs = pairs_at_distance(chain([first], results), self.distance, self.region)
                told = f"{self.distance:g} m"
            else:
                pairs = pairs_at_points(first, read_points(self.sparse, first.camera if first.camera_given else None))
                told = f"{pairs.measured_m.size} points"
        found = fit_scale(pairs, shift=self.shift, source=told)
        return first.route, found.model_copy(update={"camera_given": first.camera_given})


def _results(
    runtime: DepthRuntime,
    frames: Iterable[Frame],
    route: Route | None,
) -> Iterator[DepthResult]:
    """Depth of each frame when it is asked for, on the first one's route: a factor is of one network.

    Raises:
        InputError: intrinsics are known of some frames only, so that no factor is of all.
    """
    given: bool | None = None
    for frame in frames:
        result = runtime(frame.image_bgr, camera=frame.camera, route=route, outside=frame.outside)
        if given not in (None, result.camera_given):
            raise InputError(
                "some photos tell their focal length and others do not; measure on one kind, or give --camera"
            )
        route, given = result.route, result.camera_given
        yield result


def _region(text: str) -> Region:
    try:
        x, y, w, h = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--roi is X,Y,W,H in pixels, for example 200,150,100,80, but got {text!r}") from None
    return x, y, w, h


def _words(entry: MetricScale | None) -> str:
    if entry is None:
        return "scale removed"
    words = f"depth x {entry.factor:.4f}"
    if entry.shift_m:
        words += f" {entry.shift_m:+.3f} m"
    return f"{words}, from {entry.source} in {entry.frames} frames; {100 * entry.residual:.1f} % left (median)"


def _describe(bundle: Bundle) -> dict[str, Any]:
    return {
        "bundle": str(bundle.folder),
        "digest": bundle.digest,
        "scale": {
            route.value: None if network.scale is None else network.scale.model_dump(mode="json")
            for route, network in bundle.manifest.networks.items()
        },
    }
