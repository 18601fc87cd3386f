"""Augmentations: a random window of the frame, damage by cameras and codecs, and batched changes of colour.

Everything that moves pixels happens on uint8 arrays with cv2 (`random_window`, `degrade`), once per frame; everything
that only changes values happens on the whole batch (`photometric`). All take their randomness from a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgedepth.trainers.config import AugmentConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a frame, perhaps mirrored."""

    x: int
    y: int
    width: int
    height: int
    mirrored: bool

    def of(self, frame: NDArray[Any]) -> NDArray[Any]:
        """The window of a (H, W, ...) array, as a view."""
        part = frame[self.y : self.y + self.height, self.x : self.x + self.width]
        return part[:, ::-1] if self.mirrored else part


def random_window(rng: np.random.Generator, frame_wh: tuple[int, int], config: AugmentConfig) -> Window:
    """A window of random place, zoom and shape; sometimes the whole frame.

    Windows that do not keep the frame's shape are padded by letterboxing, as frames of another shape than the
    network's are at run time.
    """
    width, height = frame_wh
    mirrored = config.flip and rng.random() < 0.5
    if rng.random() < config.whole:
        return Window(x=0, y=0, width=width, height=height, mirrored=mirrored)
    w, h = float(width), float(height)
    if rng.random() < config.reshape:
        aspect = math.exp(rng.uniform(*np.log(config.aspects)))
        w, h = min(w, h * aspect), min(h, w / aspect)
    zoom = math.exp(rng.uniform(0.0, math.log(config.max_zoom)))
    cut_w = min(width, max(8, round(w / zoom)))
    cut_h = min(height, max(8, round(h / zoom)))
    x, y = rng.integers(0, width - cut_w + 1), rng.integers(0, height - cut_h + 1)
    return Window(x=int(x), y=int(y), width=cut_w, height=cut_h, mirrored=mirrored)


def random_roll(rng: np.random.Generator, config: AugmentConfig) -> float:
    """By how many degrees to turn a frame; none at all for half of them."""
    if config.roll_deg == 0 or rng.random() < 0.5:
        return 0.0
    return float(np.clip(rng.normal(0.0, config.roll_deg), -3 * config.roll_deg, 3 * config.roll_deg))


def turned(
    image: NDArray[np.uint8], depth_m: NDArray[np.float32], degrees: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32], float]:
    """The frame as the camera sees it that is turned about its axis, enlarged until no corner is empty.

    Turning about the optical axis leaves every depth as it is; where the frame's middle is not on the axis, the
    principal point moves besides.

    Args:
        image: (H, W, 3) uint8.
        depth_m: (H, W) float32.
        degrees: anticlockwise.

    Returns:
        Image and depth of the same sizes, and the factor by which the focal length has grown.
    """
    height, width = depth_m.shape
    matrix, scale = _turn((width, height), degrees)
    seen = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    depth = cv2.warpAffine(
        depth_m, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=math.nan
    )
    return np.asarray(seen, np.uint8), np.asarray(depth, np.float32), scale


def turned_labels(labels: NDArray[np.integer], degrees: float) -> NDArray[np.integer]:
    """The (H, W) labels of a frame that `turned` turns by as much; 0 where nothing was seen."""
    height, width = labels.shape
    matrix, _ = _turn((width, height), degrees)
    exact = labels.astype(np.float64)  # any whole number that labels have
    seen = cv2.warpAffine(exact, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(seen).astype(labels.dtype)


def _turn(frame_wh: tuple[int, int], degrees: float) -> tuple[NDArray[np.float64], float]:
    """The transform that turns a frame about its middle and enlarges it until no corner is empty, and by how much."""
    width, height = frame_wh
    turn = math.radians(abs(degrees))
    scale = math.cos(turn) + max(width / height, height / width) * math.sin(turn)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    return np.asarray(matrix, np.float64), scale


def cast_light(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Let light fall into a (H, W, 3) uint8 frame through a window that is not seen, or a shadow; in place.

    One to three parallelograms of one to three panes each are lighter than what is around them, by a factor of 1.3 to
    4.5 that is split at random between more light inside and less outside, as exposure does. Edges of light are no
    edges of depth.
    """
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    turn, open_by = rng.uniform(0, math.pi), rng.uniform(0.25, 0.75) * math.pi  # of one sun: all panes are parallel
    for _ in range(int(rng.integers(1, 4))):
        size = width * np.exp(rng.uniform(np.log(0.1), np.log(0.7), 2))
        across = size[0] * np.array((math.cos(turn), math.sin(turn)))
        down = size[1] * np.array((math.cos(turn + open_by), math.sin(turn + open_by)))
        corner = rng.uniform((0, 0), (width, height)) - (across + down) / 2
        columns, rows = (int(n) for n in rng.integers(1, 4, 2))
        bar = rng.uniform(0.03, 0.15)  # between panes, as a share of each
        for column in range(columns):
            for row in range(rows):
                sides = [
                    (column + bar, row + bar),
                    (column + 1, row + bar),
                    (column + 1, row + 1),
                    (column + bar, row + 1),
                ]
                pane = [corner + across * (a / columns) + down * (b / rows) for a, b in sides]
                cv2.fillConvexPoly(mask, np.round(pane).astype(np.int32), 255)
    blur = int(rng.choice((1, 3, 3, 5, 9)))
    lit = cv2.blur(mask, (blur, blur)).astype(np.float32)[..., None] / 255
    factor, split = rng.uniform(0.25, 1.5), rng.uniform(0, 1)
    warmth = np.array((1, 0, -1), np.float32) * np.float32(rng.normal(0, 0.08))  # red first
    image[...] = np.clip(image * np.exp(lit * (factor + warmth) - factor * split), 0, 255).astype(np.uint8)


def degrade(image: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> None:
    """Damage a (H, W, 3) uint8 image in place as cheap cameras and codecs do: low resolution, motion, JPEG blocks.

    Each kind hits about one image in six at strength 1.
    """
    chance = 0.17 * min(strength, 1.0)
    height, width = image.shape[:2]
    if rng.random() < chance and min(width, height) >= 16:
        factor = rng.uniform(1.3, 2.2)
        small = cv2.resize(image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
        image[...] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < chance:
        length = int(rng.integers(2, 5))
        kernel = (length, 1) if rng.random() < 0.7 else (1, length)
        image[...] = cv2.blur(image, kernel)
    if rng.random() < chance:
        quality = int(rng.integers(12, 70))
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image[...] = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device).to(like.device)


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).to(like.device)


def to_float(image: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in 0..1, channels-last in memory."""
    return image.permute(0, 3, 1, 2).float().div_(255.0)


def _ramp(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Uneven light: a gain that changes smoothly across each image, (B, 1, H, W)."""
    count, height, width = x.shape[0], x.shape[-2], x.shape[-1]
    slope = _normal((count, 2, 1, 1), x, generator) * 0.25 * strength
    across = torch.linspace(-1, 1, width, device=x.device)[None, None, None, :]
    down = torch.linspace(-1, 1, height, device=x.device)[None, None, :, None]
    return (slope[:, :1] * across + slope[:, 1:] * down).exp_()


def _colours(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Exposure, white balance, contrast and saturation, in place and in one pass each; (B, 3, H, W)."""
    count = x.shape[0]
    shape = (count, 1, 1, 1)
    balance = _normal((count, 3, 1, 1), x, generator) * 0.1 * strength
    exposure = _normal(shape, x, generator) * 0.25 * strength
    x = x.mul_((balance + exposure).exp())
    grey = x.mean(dim=1, keepdim=True)
    # saturation from none at all (one image in eight) to half as much again
    saturation = (1 + (_uniform(shape, x, generator) * 1.6 - 1.1) * strength).clamp_(0.0, 1.6)
    saturation = saturation * (_uniform(shape, x, generator) > 0.12 * strength)
    contrast = (_normal(shape, x, generator) * 0.2 * strength).exp()
    level = grey.mean(dim=(2, 3), keepdim=True)
    # ((grey + (x - grey) * saturation) - level) * contrast + level
    x = x.mul_(saturation * contrast)
    return x.add_(grey.mul_(contrast * (1 - saturation)).add_(level * (1 - contrast)))


def _levels(x: Tensor, inside: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Stretch some images between two of their quantiles, as automatic exposure does, in place; (B, 3, H, W).

    Real photographs fill the range and burn out walls and windows, which rendered ones seldom do. `inside` (B, 1, H, W)
    is 1 on the frame's own pixels, whose grey levels count.
    """
    grey = x[..., ::4, ::4].mean(dim=1).flatten(1)
    grey = grey.masked_fill(inside[..., ::4, ::4].flatten(1) == 0, math.inf).sort(dim=1).values  # padding comes last
    known = grey.isfinite().sum(dim=1, keepdim=True)
    # of a hundred pixels up to 25 end black and up to 30 white, mostly far fewer
    draw = _uniform((len(x), 4), x, generator)
    shares = torch.stack((0.25 * draw[:, 2] ** 2, 1 - 0.3 * draw[:, 3] ** 2), dim=1)
    ends = grey.gather(1, (shares * (known - 1).clamp_min(0)).round().long())
    dark, light = ends.nan_to_num(posinf=0.0).unbind(dim=1)
    share = torch.where(draw[:, 0] < chance, draw[:, 1].sqrt(), 0.0)
    low = dark * share
    gain = 1 / (1 + share * ((light - dark).clamp_min(0.05) - 1)).clamp_min(0.05)
    return x.sub_(low[:, None, None, None]).mul_(gain[:, None, None, None])


def _sharpness(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blur (towards the 3x3 mean) or sharpen (away from it), half of the images each."""
    amount = _uniform((x.shape[0], 1, 1, 1), x, generator) * 1.7 - 0.9
    soft = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return x.lerp(soft, amount * strength)


def _cut_out(x: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Replace one rectangle of some images, of up to a third of each side, by one random colour; in place."""
    height, width = x.shape[-2:]
    draw = _uniform((x.shape[0], 8), x, generator).tolist()
    for image, (hit, top, left, tall, wide, red, green, blue) in zip(x, draw, strict=True):
        if hit < chance:
            h, w = int(height * (0.1 + 0.25 * tall)), int(width * (0.1 + 0.25 * wide))
            y, z = int(top * (height - h)), int(left * (width - w))
            image[:, y : y + h, z : z + w] = image.new_tensor([red, green, blue])[:, None, None]
    return x


def training_image(image: Tensor, content: Tensor, config: TrainConfig, draw: int, device: torch.device) -> Tensor:
    """`photometric` on the device, drawn for one batch of a run, in the layout that convolutions are fastest in."""
    generator = torch.Generator().manual_seed(config.seed_of(draw))
    changed = photometric(image.to(device), content.to(device), config.augment, generator)
    return changed.contiguous(memory_format=torch.channels_last)


def photometric(image: Tensor, content: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Random colours, light, sharpness and noise for a batch of frames.

    Args:
        image: (B, H, W, 3) uint8.
        content: (B, 4) rows and columns [top, bottom, left, right) of the frame; outside stays black, as
            letterboxing leaves it at run time.
        config: how strong.
        generator: where all randomness comes from.

    Returns:
        (B, 3, H, W) float32 in 0..1.
    """
    x = to_float(image).contiguous()  # channel after channel, three times as fast here as channels-last
    inside = content_mask(content, x.shape[-2], x.shape[-1])
    strength = config.photometric
    if strength > 0:
        x = _sharpness(x, strength, generator)
        x = _colours(x, strength, generator).mul_(_ramp(x, strength, generator))
        x = _levels(x, inside, 0.9 * min(strength, 1.0), generator)
        gamma = (_normal((len(x), 1, 1, 1), x, generator) * 0.2 * strength).exp()
        x = x.clamp_(1e-4, 1.0).pow_(gamma)
        noise = _uniform((len(x), 1, 1, 1), x, generator).square() * 0.08 * strength
        x = x.add_(_normal(tuple(x.shape), x, generator).mul_(noise)).clamp_(0.0, 1.0)
    if config.spectra > 0:
        x = mix_spectra(x, config.spectra, generator)
    if config.texture > 0:
        x = mix_texture(x, content, config.texture, generator)
    if config.cutout > 0:
        x = _cut_out(x, config.cutout, generator)
    return x.mul_(inside)


def mix_spectra(x: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Give some images part of another image's amplitude spectrum and keep their phase; (B, 3, H, W) in 0..1.

    The amplitude holds light, colour and texture, the phase where things are: a network that sees near and far
    images exchange the former has to look at the latter (Xu et al., "A Fourier-based framework for domain
    generalization", 2021, section 3.2). The share exchanged is uniform in 0..0.7, `chance` the share of images hit.
    """
    count = len(x)
    other = torch.randperm(count, generator=generator, device=generator.device).to(x.device)
    share = _uniform((count, 1, 1, 1), x, generator) * 0.7
    share = share * (_uniform((count, 1, 1, 1), x, generator) < chance)
    spectrum = torch.fft.rfft2(x)
    amplitude = spectrum.abs()
    mixed = torch.lerp(amplitude, amplitude[other], share)
    image: Tensor = torch.fft.irfft2(spectrum * (mixed / amplitude.clamp_min(1e-6)), s=x.shape[-2:])
    return image.clamp(0.0, 1.0)


def mix_texture(x: Tensor, content: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Blend some images with themselves behind a random filter that keeps shapes and alters texture and colour.

    The filter is one convolution with normal weights, of 1 to 7 pixels; what it makes is brought to the mean and
    spread of the image, channel by channel, and takes a share of it that is uniform in 0..0.9 (Xu et al., "Robust and
    generalizable visual representation learning via random convolutions", 2021, section 3.2). (B, 3, H, W) in 0..1;
    `content` as in `photometric`, for padding is no part of the image; `chance` is the share of images hit.
    """
    draw = torch.rand(len(x), 3, generator=generator, device=generator.device).tolist()
    x = x.clone()
    for whole, (top, bottom, left, right), (hit, width, share) in zip(x, content.tolist(), draw, strict=True):
        if hit >= chance:
            continue
        image = whole[:, top:bottom, left:right]
        radius = int(4 * width)
        kernel = _normal((3, 3, 2 * radius + 1, 2 * radius + 1), x, generator)
        filtered = F.conv2d(F.pad(image[None], (radius,) * 4, mode="replicate"), kernel)[0]
        spread, mean = torch.std_mean(filtered, dim=(1, 2), keepdim=True)
        target_spread, target_mean = torch.std_mean(image, dim=(1, 2), keepdim=True)
        other = (filtered - mean) * (target_spread / spread.clamp_min(1e-6)) + target_mean
        image.lerp_(other, 0.9 * share).clamp_(0.0, 1.0)
    return x


def content_mask(content: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, H, W) float32: 1 on the frame's own pixels, 0 on padding."""
    row = torch.arange(height, device=content.device)[None, :, None]
    column = torch.arange(width, device=content.device)[None, None, :]
    top, bottom, left, right = (content[:, i, None, None] for i in range(4))
    inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    return inside[:, None].float()
