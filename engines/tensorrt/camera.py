"""Resize in the engine: frames come at camera size, and one kernel makes the network's input of them.

The resize is put in front of the network that the parser made, between the cast of its uint8 input and what reads it,
so that the one ONNX file serves every camera. It is the resize of `edgedepth.core.preprocess`: bilinear, half-pixel
centres, no antialiasing, black padding; only the rounding to whole grey levels that the CPU does is left out.
"""

from __future__ import annotations

from typing import Any

from edgedepth.core.errors import BackendError
from edgedepth.core.preprocess import Placement
from edgedepth.engines.tensorrt.config import CameraInput

_INPUT = "frame"


def resize_in_front(trt: Any, network: Any, camera: CameraInput) -> None:
    """Change a parsed network to take `frame` as uint8 (1, camera H, camera W, 3) BGR.

    Raises:
        BackendError: its input is not a fixed uint8 `frame`, or not cast first.
        InputError: policy "pad", and the camera is larger than the network.
    """
    old = network.get_input(0)
    shape = tuple(old.shape)
    if network.num_inputs != 1 or old.name != _INPUT or len(shape) != 4 or min(shape) < 1 or shape[0] != 1:
        raise BackendError(
            f"resizing on the GPU needs one fixed input {_INPUT!r} (1xHxWx3), but the network takes {old.name} {shape};"
            " export it again, or build without --size"
        )
    height, width = shape[1:3]
    placement = Placement.of(camera.frame_wh, (width, height), camera.resize)
    if placement.content_wh == camera.frame_wh == (width, height):
        return
    casts = [layer for layer in _layers(network) if layer.num_inputs and _reads(layer, 0, old.name)]
    if len(casts) != 1 or casts[0].type != trt.LayerType.CAST:
        raise BackendError("resizing on the GPU needs a network that casts its uint8 input first; export it again")
    cast, inner = casts[0], casts[0].get_output(0)
    readers = [
        (layer, i) for layer in _layers(network) for i in range(layer.num_inputs) if _reads(layer, i, inner.name)
    ]
    old.name = f"{_INPUT}_at_network_size"
    frame_w, frame_h = camera.frame_wh
    frame = network.add_input(_INPUT, old.dtype, (1, frame_h, frame_w, 3))
    cast.set_input(0, frame)
    resized = _placed(trt, network, inner, placement)
    for layer, index in readers:
        layer.set_input(index, resized)
    network.remove_tensor(old)


def _placed(trt: Any, network: Any, planes_last: Any, placement: Placement) -> Any:
    """(1, camera H, camera W, 3) to (1, network H, network W, 3): transpose, resize, pad, transpose."""
    planes = network.add_shuffle(planes_last)
    planes.first_transpose = (0, 3, 1, 2)
    tensor = planes.get_output(0)  # (1, 3, camera H, camera W)
    content_w, content_h = placement.content_wh
    if placement.content_wh != placement.frame_wh:
        resize = network.add_resize(tensor)
        resize.resize_mode = trt.InterpolationMode.LINEAR
        resize.coordinate_transformation = trt.ResizeCoordinateTransformation.HALF_PIXEL
        resize.shape = (1, 3, content_h, content_w)
        tensor = resize.get_output(0)
    width, height = placement.input_wh
    right, bottom = width - content_w - placement.x, height - content_h - placement.y
    if (right, bottom, placement.x, placement.y) != (0, 0, 0, 0):
        pad = network.add_padding_nd(tensor, (placement.y, placement.x), (bottom, right))
        tensor = pad.get_output(0)
    back = network.add_shuffle(tensor)
    back.first_transpose = (0, 2, 3, 1)
    return back.get_output(0)


def _layers(network: Any) -> list[Any]:
    return [network.get_layer(index) for index in range(network.num_layers)]


def _reads(layer: Any, index: int, name: str) -> bool:
    tensor = layer.get_input(index)
    return tensor is not None and tensor.name == name
