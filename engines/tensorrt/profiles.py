"""Optimisation profiles: the shapes that the dynamic inputs of an engine may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgedepth.core.errors import BackendError, InputError, UnknownNameError
from edgedepth.core.spec import parse_size

Shape = tuple[int, ...]
Size = tuple[int, int]

# Camera sizes that have names, (width, height).
NAMED_SIZES: dict[str, Size] = {
    "qvga": (320, 240), "vga": (640, 480), "svga": (800, 600), "hd": (1280, 720), "fhd": (1920, 1080),
    "kitti": (1242, 375),
}  # fmt: skip


def size_named(text: str) -> Size:
    """Read a size: a name of `NAMED_SIZES` or WxH.

    Raises:
        InputError: neither.
    """
    return NAMED_SIZES[text.lower()] if text.lower() in NAMED_SIZES else parse_size(text)


@dataclass(frozen=True, kw_only=True)
class SizeRange:
    """Camera sizes (width, height) from `min_wh` to `max_wh`; kernels are tuned for `opt_wh`.

    Raises:
        InputError: not min <= opt <= max in both directions.
    """

    min_wh: Size
    opt_wh: Size
    max_wh: Size

    def __post_init__(self) -> None:
        for low, usual, high in zip(self.min_wh, self.opt_wh, self.max_wh, strict=True):
            if not 0 < low <= usual <= high:
                raise InputError(f"camera sizes go from small to large in both directions, but got {self}")

    @classmethod
    def fixed(cls, frame_wh: Size) -> SizeRange:
        """Exactly one size."""
        return cls(min_wh=frame_wh, opt_wh=frame_wh, max_wh=frame_wh)

    @classmethod
    def parse(cls, text: str) -> SizeRange:
        """Read "hd", "vga..fhd" or "vga..hd..fhd"; without a middle the largest is the one to be fast at.

        Raises:
            InputError: a size that is none, or they are not in order.
        """
        sizes = [size_named(part) for part in text.split("..")]
        if len(sizes) > 3:
            raise InputError(f"a range of camera sizes is MIN..MAX or MIN..USUAL..MAX, but got {text!r}")
        return cls(min_wh=sizes[0], opt_wh=sizes[len(sizes) // 2], max_wh=sizes[-1])

    def holds(self, frame_wh: Size) -> bool:
        """Whether frames of this size fit."""
        return all(low <= size <= high for low, size, high in zip(self.min_wh, frame_wh, self.max_wh, strict=True))

    def __str__(self) -> str:
        return "..".join(dict.fromkeys(f"{w}x{h}" for w, h in (self.min_wh, self.opt_wh, self.max_wh)))


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """Smallest, usual and largest shape of one input; kernels are tuned for the usual one.

    Raises:
        BackendError: the three differ in rank, a size is not positive, or not min <= opt <= max.
    """

    input: str
    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        if not len(self.min) == len(self.opt) == len(self.max):
            raise BackendError(f"the profile of {self.input} has shapes of different rank: {self}")
        for low, usual, high in zip(self.min, self.opt, self.max, strict=True):
            if not 0 < low <= usual <= high:
                raise BackendError(
                    f"a profile needs 0 < min <= opt <= max, but that of {self.input} is {self}; reorder its sizes"
                )

    def holds(self, shape: Shape) -> bool:
        """Whether an input of this shape fits."""
        return len(shape) == len(self.min) and all(
            low <= size <= high for low, size, high in zip(self.min, shape, self.max, strict=True)
        )

    def __str__(self) -> str:
        return " / ".join("x".join(map(str, shape)) for shape in (self.min, self.opt, self.max))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named set of ranges, one per dynamic input; an engine may have several and runs one at a time."""

    name: str
    ranges: tuple[InputRange, ...]

    @classmethod
    def fixed(cls, name: str, **shapes: Shape) -> Profile:
        """A profile for exactly one shape per input."""
        return cls(name=name, ranges=tuple(InputRange(input=k, min=s, opt=s, max=s) for k, s in shapes.items()))

    @classmethod
    def sizes(cls, name: str, input: str, sizes_wh: Sequence[Size], *, batch: Shape = (1, 1, 1)) -> Profile:
        """A profile of an NCHW image input with 3 channels, from (min, opt, max) sizes (width, height) and batches.

        Raises:
            BackendError: not three of each, or not in order.
        """
        if len(sizes_wh) != 3 or len(batch) != 3:
            raise BackendError(f"profile {name} needs three sizes and three batches (min, opt, max)")
        low, usual, high = ((n, 3, h, w) for n, (w, h) in zip(batch, sizes_wh, strict=True))
        return cls(name=name, ranges=(InputRange(input=input, min=low, opt=usual, max=high),))


def check_profiles(inputs: dict[str, Shape], profiles: Sequence[Profile]) -> None:
    """Compare profiles with a network's inputs, whose dynamic sizes are -1.

    Raises:
        BackendError: a dynamic input has no range, or a range does not fit its input.
        UnknownNameError: a range is for an input that the network does not have.
    """
    dynamic = {name for name, shape in inputs.items() if -1 in shape}
    if dynamic and not profiles:
        name = min(dynamic)
        shape = "x".join("?" if size < 0 else str(size) for size in inputs[name])
        raise BackendError(
            f"input {name} ({shape}) is dynamic and no profile was given; give one in BuildConfig(profiles=...),"
            " or export at a fixed --size"
        )
    for profile in profiles:
        ranges = {entry.input: entry for entry in profile.ranges}
        for name, entry in ranges.items():
            if name not in inputs:
                raise UnknownNameError.of(f"input in profile {profile.name}", name, inputs)
            _check_range(profile.name, entry, inputs[name])
        for name in sorted(dynamic - set(ranges)):
            raise BackendError(f"profile {profile.name} has no range for the dynamic input {name}; add one")


def _check_range(profile: str, entry: InputRange, shape: Shape) -> None:
    fits = len(entry.min) == len(shape) and all(
        size in (-1, low) and size in (-1, high) for size, low, high in zip(shape, entry.min, entry.max, strict=True)
    )
    if not fits:
        known = "x".join("?" if size < 0 else str(size) for size in shape)
        raise BackendError(f"profile {profile} gives {entry.input} {entry}, but the network's input is {known}")


def add_profiles(builder: Any, config: Any, inputs: dict[str, Shape], profiles: Sequence[Profile]) -> None:
    """Hand profiles to the builder; `set_shape` accepts nonsense silently, so that the result is checked.

    Raises:
        BackendError, UnknownNameError: see `check_profiles`.
    """
    check_profiles(inputs, profiles)
    for profile in profiles:
        made = builder.create_optimization_profile()
        for entry in profile.ranges:
            made.set_shape(entry.input, entry.min, entry.opt, entry.max)
        if not made or config.add_optimization_profile(made) < 0:
            raise BackendError(f"TensorRT refuses profile {profile.name}: {'; '.join(map(str, profile.ranges))}")
