"""Metric scale for the user's own camera: from a tape measure or sparse depth to a correction stored in the bundle.

Focal length is corrected first, from the intrinsics; what remains of a constant factor (a lens that is not a pinhole,
scenes unlike those trained on) is measured here. Plain numpy, so that it runs on the robot.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle, write_manifest
from edgedepth.core.camera import Camera
from edgedepth.core.errors import BundleError, InputError
from edgedepth.core.manifest import MetricScale
from edgedepth.core.results import DepthResult, PixelState
from edgedepth.core.routing import Route

# Sparse points below which a factor, or a factor and a shift, are guesswork.
LEAST_POINTS, LEAST_FOR_SHIFT = 10, 30
_OUTLIER = 3.0  # residuals beyond this many robust standard deviations do not count
_ROUNDS = 5
# A factor beyond these is no property of a camera: wrong units, wrong region or a wrong route.
_PLAUSIBLE = (0.2, 5.0)
_MEASURED_SHARE = 0.5  # of a region whose distance is told

Region = tuple[int, int, int, int]  # x, y, width, height in pixels of the frame


@dataclass(frozen=True)
class Pairs:
    """Depths that the bundle answered and that were measured, (N,) float64 metres each, from `frames` frames.

    least: pairs below which a factor is guesswork.
    """

    predicted_m: NDArray[np.float64]
    measured_m: NDArray[np.float64]
    frames: int
    least: int


def pairs_at_distance(results: Iterable[DepthResult], distance_m: float, region: Region | None = None) -> Pairs:
    """One pair per frame: the median depth in a region, and the distance of what is seen there.

    distance_m: along the optical axis. region: (x, y, w, h) in pixels; the middle fifth of each side where None.
    Frames of which less than half the region is measured do not count: depth is cut off at the ends of the range.

    Raises:
        InputError: the distance is not positive, the region leaves the frame, or no frame counts.
    """
    if not math.isfinite(distance_m) or distance_m <= 0:
        raise InputError(f"the distance must be a positive number of metres, but got {distance_m}")
    medians = []
    for result in results:
        window = _window(result.depth_m.shape, region)
        measured = result.valid[window] == PixelState.MEASURED
        if measured.mean() >= _MEASURED_SHARE:
            medians.append(float(np.median(result.depth_m[window][measured])))
    if not medians:
        raise InputError(
            "in no frame half of the region has a measured depth: it is unknown, or nearer or farther than the range of"
            " the network; choose another with --roi X,Y,W,H, or --route"
        )
    return Pairs(np.asarray(medians), np.full(len(medians), distance_m), len(medians), least=1)


def pairs_at_points(result: DepthResult, points: NDArray[np.float64]) -> Pairs:
    """The pairs of one frame and sparse depth, (N, 3) of column, row and depth in metres."""
    height, width = result.depth_m.shape
    column, row = np.rint(points[:, 0]), np.rint(points[:, 1])  # NaN is nowhere
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    inside &= np.isfinite(points[:, 2]) & (points[:, 2] > 0)
    u, v, measured = column[inside].astype(int), row[inside].astype(int), points[inside, 2]
    known = result.valid[v, u] == PixelState.MEASURED
    return Pairs(result.depth_m[v[known], u[known]].astype(np.float64), measured[known], 1, least=LEAST_POINTS)


def read_points(path: Path, camera: Camera | None) -> NDArray[np.float64]:
    """Sparse depth from a CSV file with a header: u,v,depth_m in pixels, or x,y,z in metres of the camera's frame.

    Returns (N, 3) of column, row and depth. The camera projects points; its frame is x right, y down, z forward.

    Raises:
        InputError: the file is missing or not of that form, or points need a camera that is not given.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark in front
            reader = csv.DictReader(file)
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            columns = next((c for c in (("u", "v", "depth_m"), ("x", "y", "z")) if set(c) <= set(names)), None)
            if columns is None:
                raise InputError(f"{path} must have the columns u,v,depth_m or x,y,z, but has {','.join(names)}")
            values = np.array([[float(row[name]) for name in columns] for row in reader], np.float64).reshape(-1, 3)
    except OSError as error:
        raise InputError(f"cannot read the points {path}: {error.strerror}") from None
    except (TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is not a table of numbers: {error}") from None
    if columns[0] == "u":
        return values
    if camera is None:
        raise InputError(f"{path} holds points in space; give the camera they are seen by with --camera fx,fy,cx,cy")
    front = values[values[:, 2] > 0]
    u = camera.fx * front[:, 0] / front[:, 2] + camera.cx
    v = camera.fy * front[:, 1] / front[:, 2] + camera.cy
    return np.column_stack([u, v, front[:, 2]])


def fit_scale(pairs: Pairs, *, shift: bool = False, source: str) -> MetricScale:
    """The factor (and shift) that bring predictions to measurements, robust against outliers.

    The factor alone is the median ratio. With a shift, a line is fitted by least squares of the relative error, over
    and over without the points whose residual is beyond three robust standard deviations.

    Raises:
        InputError: there are too few points, they do not differ in depth, or the factor is not plausible.
    """
    predicted, measured = pairs.predicted_m, pairs.measured_m
    least = LEAST_FOR_SHIFT if shift else pairs.least
    if measured.size < least:
        raise InputError(f"{measured.size} measured points fall on known depth, but {least} are needed")
    factor, shift_m = _line(predicted, measured) if shift else (float(np.median(measured / predicted)), 0.0)
    if not _PLAUSIBLE[0] <= factor <= _PLAUSIBLE[1]:
        raise InputError(
            f"the factor would be {factor:.3g}, which no camera explains; check units (metres), region and route"
        )
    residual = float(np.median(np.abs(factor * predicted + shift_m - measured) / measured))
    return MetricScale(factor=factor, shift_m=shift_m, source=source, frames=pairs.frames, residual=residual)


def store_scale(bundle: Bundle, scales: dict[Route, MetricScale | None]) -> Bundle:
    """Write the scales of networks into the bundle's manifest; None takes one out again.

    Raises:
        BundleError: the bundle has no network for a route.
        OutputError: the manifest cannot be written.
    """
    networks = dict(bundle.manifest.networks)
    for route, scale in scales.items():
        if route not in networks:
            raise BundleError(f"bundle {bundle.manifest.name} has no network for route {route}")
        networks[route] = networks[route].model_copy(update={"scale": scale})
    return write_manifest(bundle.folder, bundle.manifest.model_copy(update={"networks": networks}))


def without_scale(bundle: Bundle) -> Bundle:
    """The bundle as if no scale were stored, to measure one afresh; nothing is written."""
    networks = {
        route: network.model_copy(update={"scale": None}) for route, network in bundle.manifest.networks.items()
    }
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"networks": networks}))


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of y over x, by least squares of the relative error without outliers."""
    if float(np.ptp(x)) < 0.1 * float(np.median(x)):
        raise InputError("the points all lie at about one distance, which tells no shift; measure without --shift")
    kept = np.ones(x.size, np.bool_)
    slope, intercept = 1.0, 0.0
    for _ in range(_ROUNDS):
        design = np.column_stack([x[kept], np.ones(int(kept.sum()))]) / y[kept, None]
        slope, intercept = (float(value) for value in np.linalg.lstsq(design, np.ones(design.shape[0]), rcond=None)[0])
        error = (slope * x + intercept - y) / y
        spread = 1.4826 * float(np.median(np.abs(error[kept] - np.median(error[kept]))))
        again = np.abs(error) <= max(_OUTLIER * spread, 1e-6)
        if again.sum() < LEAST_FOR_SHIFT // 2 or np.array_equal(again, kept):
            break
        kept = again
    return slope, intercept


def _window(shape: Sequence[int], region: Region | None) -> tuple[slice, slice]:
    height, width = shape
    x, y, w, h = (
        (int(width * 0.4), int(height * 0.4), max(1, width // 5), max(1, height // 5)) if region is None else region
    )
    if w < 1 or h < 1 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise InputError(f"region {x},{y},{w},{h} leaves the frame of {width}x{height}")
    return slice(y, y + h), slice(x, x + w)
