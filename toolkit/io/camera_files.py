"""Calibration files of cameras: our own JSON, ROS camera_info, OpenCV's FileStorage, Kalibr's camchain, COLMAP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from edgedepth.core.camera import Camera
from edgedepth.core.errors import InputError, some_of
from edgedepth.core.lens import UNTURNED, Lens, LensModel

T = TypeVar("T")

FORMS = (
    "JSON with fx, fy, cx, cy, width, height; ROS camera_info YAML; OpenCV YAML, XML or JSON; Kalibr camchain YAML;"
    " COLMAP cameras.txt"
)
_MOST_BYTES = 1 << 20  # OpenCV's files may hold every corner of a chessboard; what is larger is no calibration
# What OpenCV adds to YAML and JSON: a version that is not YAML's, tags of its own, comments in JSON.
_OPENCV_ONLY = re.compile(r"^%YAML.*$|^\s*//.*$|!!opencv-[\w-]+", re.MULTILINE)
_LENS_MODELS: dict[str, LensModel] = {
    "plumb_bob": "radtan",
    "radtan": "radtan",
    "radial-tangential": "radtan",
    "rational_polynomial": "radtan",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}
# One thing, as ROS's files, OpenCV's samples, and messages that were printed call it.
_SIZE = (("image_width", "image_height"), ("width", "height"))
_MATRIX = ("camera_matrix", "cameraMatrix", "K", "k")
_DISTORTION = ("distortion_coefficients", "distortion_coeffs", "distCoeffs", "dist_coeffs", "dist_coeff", "D", "d")
_ROTATION = ("rectification_matrix", "R", "r")
_PROJECTION = ("projection_matrix", "P", "p")
# COLMAP's models that are OpenCV's, too, and their parameters.
_COLMAP = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
}
_COLMAP_LINE = re.compile(r"\d+\s+[A-Z_]+\s+\d+\s+\d+\s")


def calibration_named(where: str | Path) -> tuple[Path, str | None]:
    """The file, and of FILE:NAME the camera: cam0, cam1 and so on of Kalibr's camchain, the id of COLMAP's."""
    path = Path(where).expanduser()
    if path.exists() or ":" not in str(where):
        return path, None
    file, _, name = str(where).rpartition(":")
    return Path(file).expanduser(), name


def read_lens(where: str | Path) -> Lens:
    """The camera of a calibration file, recognised by what it holds; of a file of several cameras FILE:NAME.

    Raises:
        InputError: the file cannot be read, is none of the known forms (`FORMS`), is incomplete or truncated, is of a
            model that is not undone here, or of several cameras and none of that name.
    """
    path, name = calibration_named(where)
    try:
        return _lens(_text(path), name)
    except OSError as error:
        raise InputError(f"cannot read the camera file {path}: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"camera file {path}: {error}") from None
    except KeyError as error:
        raise InputError(f"camera file {path}: it has no {error.args[0]}; known forms: {FORMS}") from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"camera file {path}: it is damaged or truncated ({error}); known forms: {FORMS}") from None


def lens_named(model: str, coefficients: tuple[float, ...], camera: Camera) -> Lens:
    """The lens before a camera, by what ROS, OpenCV or Kalibr call its model.

    Raises:
        InputError: it bends by a model that cannot be undone, or has another number of coefficients.
    """
    kind = _LENS_MODELS.get(model.lower())
    if not coefficients or (kind != "equidistant" and not any(coefficients)):
        return Lens(camera=camera)
    if kind is None:
        raise InputError(
            f"the distortion model {model!r} is not undone here (known: {', '.join(_LENS_MODELS)}); give rectified"
            " pictures and their fx,fy,cx,cy"
        )
    return Lens(camera=camera, model=kind, coefficients=coefficients)


def rotation_said(numbers: tuple[float, ...]) -> tuple[float, ...]:
    """ROS's R; all zeros, as drivers leave it that say nothing of it, is no rotation."""
    return numbers if any(numbers) else UNTURNED


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(f"it is too large for a calibration; known forms: {FORMS}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"it is no text, so no calibration; known forms: {FORMS}") from None


def _lens(text: str, name: str | None) -> Lens:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and _COLMAP_LINE.match(lines[0]):
        return _of_colmap(_chosen({line.split()[0]: line for line in lines}, name))
    fields = _fields(text)
    cameras = {str(key): value for key, value in fields.items() if re.fullmatch(r"cam\d+", str(key))}
    if cameras:
        return _of_kalibr(_chosen(cameras, name))
    if name is not None:
        raise InputError(f"it is of one camera that has no name, so {name!r} is not in it")
    if "fx" in fields:
        return _of_numbers(fields)
    return _of_kalibr(fields) if "intrinsics" in fields else _of_matrix(fields)


def _chosen(cameras: Mapping[str, T], name: str | None) -> T:
    """The camera of that name, or the only one."""
    if name is None and len(cameras) > 1:
        raise InputError(
            f"it is of {len(cameras)} cameras; give one of them as FILE:NAME, of {some_of(list(cameras), 5)}"
        )
    chosen = next(iter(cameras)) if name is None else name
    if chosen not in cameras:
        raise InputError(f"it has no camera {chosen!r}; it is of {some_of(list(cameras), 5)}")
    return cameras[chosen]


def _fields(text: str) -> dict[str, Any]:
    """What an XML, JSON or YAML file holds; of several documents the first."""
    import yaml

    plain = _OPENCV_ONLY.sub("", text).strip()
    try:
        if plain.startswith("<"):
            fields = _of_element(ElementTree.fromstring(plain))
        else:
            fields = json.loads(plain) if plain.startswith("{") else next(iter(yaml.safe_load_all(plain)), None)
    except (ValueError, RecursionError, ElementTree.ParseError, yaml.YAMLError) as error:
        why = getattr(error, "problem", None) or error
        raise InputError(f"it is damaged or truncated ({' '.join(str(why).split())}); known forms: {FORMS}") from None
    if not isinstance(fields, dict):
        raise InputError(f"it is no calibration; known forms: {FORMS}")
    return fields


def _of_element(element: ElementTree.Element) -> Any:
    """An XML element as YAML would have it: its children by name, or its words."""
    return {child.tag: _of_element(child) for child in element} if len(element) else (element.text or "").split()


def _of_numbers(fields: dict[str, Any]) -> Lens:
    """Our own form; distortion that stands beside it, in a list or by name, is not passed over."""
    width, height = _size(fields)
    fx, fy, cx, cy = (float(fields[key]) for key in ("fx", "fy", "cx", "cy"))
    camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    model = _word(fields.get("distortion_model", "radtan"))
    listed = any(name in fields for name in _DISTORTION)
    coefficients = _numbers(_first(fields, _DISTORTION)) if listed else _in_order(fields, model)
    return lens_named(model, coefficients, camera)


def _of_matrix(fields: dict[str, Any]) -> Lens:
    """ROS's camera_info and OpenCV's files, which are much alike."""
    fx, _, cx, _, fy, cy, *_ = _numbers(_first(fields, _MATRIX), 9)
    width, height = _size(fields)
    camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    fisheye = any(_numbers(fields.get("fisheye_model", 0)))  # OpenCV's own flag
    model = _word(fields.get("distortion_model", "fisheye" if fisheye else "radtan"))
    lens = lens_named(model, _numbers(_first(fields, _DISTORTION)), camera)
    if not any(name in fields for name in _PROJECTION):
        return lens
    fx, _, cx, _, _, fy, cy, *_ = _numbers(_first(fields, _PROJECTION), 12)
    if fx == 0:  # ROS: nobody has calibrated it
        return lens
    projection = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    return replace(lens, rotation=rotation_said(_numbers(_first(fields, _ROTATION), 9)), projection=projection)


def _of_kalibr(fields: dict[str, Any]) -> Lens:
    """One camera of Kalibr's camchain, or EuRoC's sensor.yaml."""
    if (model := fields["camera_model"]) != "pinhole":
        raise InputError(f"the camera model {model!r} is not undone here; calibrate it as pinhole-radtan or -equi")
    fx, fy, cx, cy = _numbers(fields["intrinsics"], 4)
    width, height = _numbers(fields["resolution"], 2)
    camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=int(width), height=int(height))
    return lens_named(_word(fields["distortion_model"]), _numbers(_first(fields, _DISTORTION)), camera)


def _of_colmap(line: str) -> Lens:
    """A line of COLMAP's cameras.txt: id, model, width, height, parameters."""
    _, model, width, height, *numbers = line.split()
    if model not in _COLMAP:
        raise InputError(f"the camera model {model} is not undone here; known: {', '.join(_COLMAP)}")
    names = _COLMAP[model].split()
    if len(numbers) != len(names):
        raise InputError(f"{model} has the parameters {', '.join(names)}, but there are {len(numbers)}; is it damaged?")
    value = dict(zip(names, map(float, numbers), strict=True))
    camera = Camera(
        fx=value["fx" if "fx" in value else "f"],
        fy=value["fy" if "fy" in value else "f"],
        cx=value["cx"] - 0.5,  # there, the middle of the first pixel is at 0.5
        cy=value["cy"] - 0.5,
        width=int(width),
        height=int(height),
    )
    lens = "fisheye" if model == "OPENCV_FISHEYE" else "radtan"
    return lens_named(lens, _in_order(value, lens), camera)


def _in_order(value: Mapping[str, Any], model: str) -> tuple[float, ...]:
    """Coefficients that stand by name, in OpenCV's order; none where not even the first stands there."""
    if "k1" not in value:
        return ()
    fisheye = _LENS_MODELS.get(model.lower()) == "equidistant"
    order = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    return tuple(float(value.get(name, 0.0)) for name in order)


def _size(fields: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the calibrated picture in pixels."""
    for names in _SIZE:
        if all(name in fields for name in names):
            width, height = (_numbers(fields[name], 1)[0] for name in names)
            return int(width), int(height)
    if "image_size" in fields:
        width, height = _numbers(fields["image_size"], 2)
        return int(width), int(height)
    raise InputError("it names no size; add the width and height in pixels that the intrinsics are of")


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of the names that is there; a KeyError tells the first of them if none is."""
    return fields[next((name for name in names if name in fields), names[0])]


def _word(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _numbers(value: Any, count: int | None = None) -> tuple[float, ...]:
    """Numbers as they stand, in lists of lists, as words or as a matrix's `data`."""
    if isinstance(value, dict):
        value = value["data"]
    found = tuple(_flat(value))
    if count is not None and len(found) != count:
        raise ValueError(f"{len(found)} numbers where {count} belong")
    return found


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield float(value)
