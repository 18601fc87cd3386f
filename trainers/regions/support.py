"""Ground truth of the region support: semantic labels and depth to regions of stable depth (papers/5, Algorithm 1).

The algorithm as printed cannot run: its loop over categories never clears what it has labelled, labels -1, 0, 1 fall
together under abs(), each image row of an object would become an instance (neighbours in scan order are neighbours in
the image only within a row), thin depth slices get no label, and the branch for the last slice is never reached. The
reading taken here keeps each step's evident purpose:

1. Instances: the pixels of one category that hang together through steps of at most 2 pixels (Euclidean) are one
   instance. Instances count from 1, categories from the highest, within one by its first pixel in reading order.
2. An instance whose depths span less than two slices is one region. A slice is a tenth of the image's depth range.
3. A wider instance is cut from its nearest depth on, slice by slice; slices that hold no more than their average share
   of its pixels are joined to the next, and the last region reaches to the instance's farthest depth.
4. The region support of a pixel is the mean depth of its region (`edgedepth.trainers.losses.regions.region_means`).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SLICES = 10


def regions_of(semantic: NDArray[np.integer], depth_m: NDArray[np.float32]) -> NDArray[np.int32]:
    """Steps 1 to 3 of Algorithm 1, as read above: (H, W) regions 1..M, 0 where there is none.

    Args:
        semantic: (H, W) category per pixel; 0 is none and gets no region, as in the paper.
        depth_m: (H, W) metres; pixels that are not finite and positive belong to no region.

    Raises:
        ValueError: the two differ in shape.
    """
    if semantic.shape != depth_m.shape:
        raise ValueError(f"depth_m must be {semantic.shape} like semantic, but got {depth_m.shape}")
    instances = instances_of(semantic)
    known = (instances > 0) & np.isfinite(depth_m) & (depth_m > 0)
    regions = np.zeros(semantic.shape, np.int32)
    if known.any():
        measured = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
        slice_m = (float(measured.max()) - float(measured.min())) / SLICES
        regions[known] = _slice_instances(instances[known], depth_m[known].astype(np.float64), slice_m)
    return regions


def instances_of(semantic: NDArray[np.integer]) -> NDArray[np.int32]:
    """Step 1: (H, W) categories to (H, W) int32 instances 1, 2, ...; 0 where the category is 0."""
    pieces = np.zeros(semantic.shape, np.int32)
    count = 0
    for category in np.unique(semantic)[::-1]:  # from the highest
        if category > 0:
            number, inside = cv2.connectedComponents((semantic == category).astype(np.uint8), connectivity=8)
            pieces[inside > 0] = inside[inside > 0] + count
            count += number - 1
    joined = _join_gaps(pieces, semantic, count)
    return _in_reading_order(joined, semantic)


def _join_gaps(pieces: NDArray[np.int32], semantic: NDArray[np.integer], count: int) -> NDArray[np.int32]:
    """Pieces of one category with one foreign pixel between them, across or down, are the same instance.

    Distances up to 2 that 8-connected pieces have not joined are those two: (0, 2) and (2, 0).
    """
    links = []
    for near, far in (((slice(None), slice(None, -2)), (slice(None), slice(2, None))),
                      ((slice(None, -2), slice(None)), (slice(2, None), slice(None)))):  # fmt: skip
        same = (semantic[near] == semantic[far]) & (pieces[near] != pieces[far])
        links.append(np.stack((pieces[near][same], pieces[far][same]), axis=1))
    parent = np.arange(count + 1)
    for a, b in np.unique(np.concatenate(links), axis=0).tolist():
        root_a, root_b = _root(parent, a), _root(parent, b)
        parent[max(root_a, root_b)] = min(root_a, root_b)
    roots = np.array([_root(parent, piece) for piece in range(count + 1)], np.int32)
    joined: NDArray[np.int32] = roots[pieces]
    return joined


def _root(parent: NDArray[np.int64], piece: int) -> int:
    while parent[piece] != piece:
        parent[piece] = parent[parent[piece]]
        piece = int(parent[piece])
    return piece


def _in_reading_order(pieces: NDArray[np.int32], semantic: NDArray[np.integer]) -> NDArray[np.int32]:
    """Renumber: categories from the highest, within one by the first pixel."""
    names, first, inverse = np.unique(pieces, return_index=True, return_inverse=True)
    order = np.lexsort((first, -semantic.reshape(-1)[first].astype(np.int64)))
    order = order[names[order] > 0]
    number = np.zeros(len(names), np.int32)
    number[order] = np.arange(1, len(order) + 1)
    renumbered: NDArray[np.int32] = number[inverse].reshape(pieces.shape)
    return renumbered


def _slice_instances(instances: NDArray[np.int32], depth: NDArray[np.float64], slice_m: float) -> NDArray[np.int32]:
    """Steps 2 and 3 over lists of pixels: the region 1..M of each, numbered by instance, then by depth."""
    count = int(instances.max()) + 1
    near = np.full(count, np.inf)
    far = np.full(count, -np.inf)
    np.minimum.at(near, instances, depth)
    np.maximum.at(far, instances, depth)
    with np.errstate(invalid="ignore"):
        spans = np.where(np.isfinite(near), far - near, 0.0)
    # Whole slices of each instance; the last one also takes what is left over.
    slices = np.maximum(1, (spans / slice_m).astype(np.int64)) if slice_m > 0 else np.ones(count, np.int64)
    slices[spans < 2 * slice_m] = 1
    position = np.zeros(len(depth), np.int64)
    if slice_m > 0:
        position = np.minimum(((depth - near[instances]) / slice_m).astype(np.int64), slices[instances] - 1)
    width = int(slices.max())
    histogram = np.bincount(instances * width + position, minlength=count * width).reshape(count, width)
    group = _join_thin(histogram, slices, spans, slice_m)
    _, labels = np.unique(instances.astype(np.int64) * width + group[instances, position], return_inverse=True)
    regions: NDArray[np.int32] = (labels.reshape(-1) + 1).astype(np.int32)
    return regions


def _join_thin(
    histogram: NDArray[np.int64], slices: NDArray[np.int64], spans: NDArray[np.float64], slice_m: float
) -> NDArray[np.int64]:
    """Region of each slice: (instances, slices) pixel counts to running numbers; thin slices join the next."""
    share = np.zeros(len(histogram))
    wide = spans > 0
    share[wide] = histogram.sum(axis=1)[wide] * slice_m / spans[wide]
    group = np.zeros_like(histogram)
    current = np.zeros(len(histogram), np.int64)
    gathered = np.zeros(len(histogram), np.int64)
    for position in range(histogram.shape[1]):
        group[:, position] = current
        gathered += histogram[:, position]
        closes = (gathered > share) & (position < slices - 1)
        current += closes
        gathered[closes] = 0
    return group
