"""Resize in the engine: frames come at camera size, and one kernel makes the network's input of them.

The resize is put in front of the network that the parser made, between the cast of its uint8 input and what reads it,
so that the one ONNX file serves every camera. It is the resize of `edgedepth.core.preprocess`: bilinear, half-pixel
centres, no antialiasing, black padding; only the rounding to whole grey levels that the CPU does is left out.

For one camera size everything is constant. For several the engine works out itself where a frame lands, with the same
whole-number arithmetic as `Placement.of`.
"""

from __future__ import annotations

from typing import Any

from edgedepth.core.errors import BackendError
from edgedepth.core.preprocess import Placement
from edgedepth.core.spec import ResizePolicy
from edgedepth.engines.tensorrt.config import CameraInput
from edgedepth.engines.tensorrt.profiles import Size
from edgedepth.engines.tensorrt.shapes import ShapeArithmetic

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
    input_wh = (shape[2], shape[1])
    placements = [Placement.of(size.max_wh, input_wh, camera.resize) for size in camera.sizes]
    if camera.frame_wh == input_wh:
        return
    casts = [layer for layer in _layers(network) if layer.num_inputs and _reads(layer, 0, old.name)]
    if len(casts) != 1 or casts[0].type != trt.LayerType.CAST:
        raise BackendError("resizing on the GPU needs a network that casts its uint8 input first; export it again")
    cast, inner = casts[0], casts[0].get_output(0)
    readers = [
        (layer, i) for layer in _layers(network) for i in range(layer.num_inputs) if _reads(layer, i, inner.name)
    ]
    old.name = f"{_INPUT}_at_network_size"
    frame_w, frame_h = (-1, -1) if camera.frame_wh is None else camera.frame_wh
    frame = network.add_input(_INPUT, old.dtype, (1, frame_h, frame_w, 3))
    cast.set_input(0, frame)
    planes = _transposed(network, inner, (0, 3, 1, 2))  # (1, 3, camera H, camera W)
    if camera.frame_wh is None:
        placed = _placed_by_size(trt, network, planes, frame, input_wh, camera.resize)
    else:
        placed = _placed(trt, network, planes, placements[0])
    resized = _transposed(network, placed, (0, 2, 3, 1))
    for layer, index in readers:
        layer.set_input(index, resized)
    network.remove_tensor(old)


def _placed(trt: Any, network: Any, planes: Any, placement: Placement) -> Any:
    """(1, 3, camera H, camera W) to (1, 3, network H, network W), for one camera size."""
    content_w, content_h = placement.content_wh
    if placement.content_wh != placement.frame_wh:
        resize = _resize(trt, network, planes)
        resize.shape = (1, 3, content_h, content_w)
        planes = resize.get_output(0)
    width, height = placement.input_wh
    right, bottom = width - content_w - placement.x, height - content_h - placement.y
    if (right, bottom, placement.x, placement.y) != (0, 0, 0, 0):
        pad = network.add_padding_nd(planes, (placement.y, placement.x), (bottom, right))
        planes = pad.get_output(0)
    return planes


def _placed_by_size(trt: Any, network: Any, planes: Any, frame: Any, input_wh: Size, policy: ResizePolicy) -> Any:
    """The same for any camera size, which the engine reads off its input."""
    width, height = input_wh
    if policy == "stretch":
        resize = _resize(trt, network, planes)
        resize.shape = (1, 3, height, width)
        return resize.get_output(0)
    numbers = ShapeArithmetic(trt, network)
    offset = numbers.constant(0, 0)
    if policy == "letterbox":
        content = _content(numbers, numbers.sizes_of(frame, (1, 2)), input_wh)  # (H, W)
        resize = _resize(trt, network, planes)
        resize.set_input(1, numbers.joined(numbers.constant(1, 3), content))
        planes = resize.get_output(0)
        offset = numbers.quotient(numbers.difference(numbers.constant(height, width), content), 2)
    # a window larger than the frame, which is filled with black where that is not
    window = network.add_slice(planes, (0, 0, 0, 0), (1, 3, height, width), (1, 1, 1, 1))
    window.mode = trt.SampleMode.FILL
    window.set_input(1, numbers.joined(numbers.constant(0, 0), numbers.difference(numbers.constant(0, 0), offset)))
    return window.get_output(0)


def _content(numbers: ShapeArithmetic, frame: Any, input_wh: Size) -> Any:
    """(H, W) of a letterboxed frame (H, W) in the network's input: `Placement.of` for tensors of two numbers."""
    width, height = input_wh
    other = numbers.flipped(frame)
    # h * width / w and w * height / h, rounded to the nearest, ties to even
    doubled = numbers.sum(numbers.product(numbers.product(frame, numbers.constant(width, height)), 2), other)
    denominator = numbers.product(other, 2)
    quotient = numbers.quotient(doubled, denominator)
    rest = numbers.difference(doubled, numbers.product(quotient, denominator))
    tie = numbers.difference(numbers.constant(1, 1), numbers.smaller(rest, 1))
    odd = numbers.difference(quotient, numbers.product(numbers.quotient(quotient, 2), 2))
    rounded = numbers.difference(quotient, numbers.product(tie, odd))
    return numbers.larger(numbers.smaller(rounded, numbers.constant(height, width)), 1)


def _resize(trt: Any, network: Any, tensor: Any) -> Any:
    layer = network.add_resize(tensor)
    layer.resize_mode = trt.InterpolationMode.LINEAR
    layer.coordinate_transformation = trt.ResizeCoordinateTransformation.HALF_PIXEL
    return layer


def _transposed(network: Any, tensor: Any, order: tuple[int, ...]) -> Any:
    layer = network.add_shuffle(tensor)
    layer.first_transpose = order
    return layer.get_output(0)


def _layers(network: Any) -> list[Any]:
    return [network.get_layer(index) for index in range(network.num_layers)]


def _reads(layer: Any, index: int, name: str) -> bool:
    tensor = layer.get_input(index)
    return tensor is not None and tensor.name == name
