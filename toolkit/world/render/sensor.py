"""Makes a photograph of radiance: exposure, optics, noise, tone curve and JPEG of a drawn camera.

The order is that of a real camera: light meter, lens (blur, vignette, glare), sensor (white balance, noise),
then processing (sharpening, tone, saturation, compression). Blur is given in pixels of a 320 pixel wide image
and grows with the width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.world.builder import Dice
from edgedepth.world.scene import Colour

Image = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CURVES = ("clip", "film", "soft")


@dataclass(frozen=True, kw_only=True)
class SensorModel:
    """One camera and one moment. Draw it with `SensorModel.draw`; the defaults are a clean, neutral camera.

    `exposure_ev` is the error of the light meter in stops; `key` the brightness it aims at; `highlight` the
    largest value (in units of white) it lets the brightest 3 % of the picture reach; `most_gain` the most by which
    it brightens; `curve` is 'clip', 'film' or 'soft'; `noise_shot`, `noise_read` are standard deviations at white
    and at black in units of white, `noise_rows` that of whole rows (bands, as a rolling shutter has them in low
    light); `defocus_px` is the blur of infinitely distant things when the lens is focused at `focus_m` (0: none);
    `motion_px`, `motion_rad` a linear shake; `jpeg_quality` 0 means no extra compression.
    """

    exposure_ev: float = 0.0
    key: float = 0.3
    highlight: float = 2.0
    most_gain: float = math.inf
    white_balance: Colour = (1.0, 1.0, 1.0)
    vignette: float = 0.0
    glare: float = 0.0
    lens_blur_px: float = 0.0
    defocus_px: float = 0.0
    focus_m: float = 3.0
    motion_px: float = 0.0
    motion_rad: float = 0.0
    noise_shot: float = 0.0
    noise_read: float = 0.0
    noise_grain_px: float = 0.0
    noise_rows: float = 0.0
    sharpen: float = 0.0
    curve: str = "film"
    gamma: float = 2.2
    contrast: float = 0.0
    saturation: float = 1.0
    jpeg_quality: int = 0

    @classmethod
    def draw(cls, dice: Dice) -> SensorModel:
        """A random camera: mostly decent, sometimes blurred, dim, noisy or badly compressed."""
        dim = dice.chance(0.12)
        tint, magenta = dice.normal(0.07), dice.normal(0.025)
        return cls(
            exposure_ev=dice.normal(0.4) - (dice.uniform(0.3, 1.5) if dim else 0.0),
            key=dice.uniform(0.22, 0.36),
            highlight=dice.uniform(1.5, 5.0),
            white_balance=(1 + tint, 1 - magenta, 1 - tint),
            vignette=dice.uniform(0.05, 0.45) if dice.chance(0.4) else 0.0,
            glare=dice.uniform(0.01, 0.12) if dice.chance(0.2) else 0.0,
            lens_blur_px=dice.uniform(0.3, 0.9) if dice.chance(0.5) else 0.0,
            defocus_px=dice.uniform(0.5, 2.5) if dice.chance(0.12) else 0.0,
            focus_m=dice.uniform(0.8, 5.0),
            motion_px=dice.uniform(1.0, 5.0) if dice.chance(0.15) else 0.0,
            motion_rad=dice.uniform(0.0, np.pi),
            noise_shot=dice.uniform(0.02, 0.06) if dim else dice.uniform(0.0, 0.03),
            noise_read=dice.uniform(0.003, 0.015) if dim else dice.uniform(0.0, 0.006),
            noise_grain_px=dice.uniform(0.4, 1.0) if dice.chance(0.2) else 0.0,
            sharpen=dice.uniform(0.2, 1.0) if dice.chance(0.3) else 0.0,
            curve=dice.choice(_CURVES),
            gamma=dice.uniform(1.9, 2.5),
            contrast=dice.uniform(-0.2, 0.5),
            saturation=0.0 if dice.chance(0.02) else dice.uniform(0.6, 1.35),
            jpeg_quality=dice.integer(35, 95) if dice.chance(0.5) else 0,
        )

    def photograph(self, radiance: Image, depth_m: NDArray[np.float32], dice: Dice) -> NDArray[np.uint8]:
        """The picture this camera takes.

        Args:
            radiance: (H, W, 3) float32 linear RGB.
            depth_m: (H, W) float32, 0 where there is only sky; used by defocus.
            dice: source of the noise.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: shapes do not agree, or the radiance is not finite.
        """
        if radiance.ndim != 3 or radiance.shape[2] != 3 or depth_m.shape != radiance.shape[:2]:
            shapes = f"{radiance.shape} and {depth_m.shape}"
            raise InputError(f"radiance must be (H, W, 3) and depth (H, W), but got {shapes}")
        if not np.isfinite(radiance).all():
            raise InputError("radiance must be finite, but has NaN or infinity")
        image = np.maximum(radiance, 0.0) * np.float32(self._exposure(radiance))
        image = self._through_lens(image, depth_m)
        image = self._on_sensor(image, dice)
        if self.noise_rows > 0:
            image = image + self.noise_rows * _bands(len(image), dice)
        image = self._tone(image)
        picture = (image * 255.0 + 0.5).astype(np.uint8)
        return _compressed(picture, self.jpeg_quality) if self.jpeg_quality else picture

    def _exposure(self, radiance: Image) -> float:
        """The meter: aims the mid-tones at `key`, but holds back where highlights would burn out."""
        luma = np.maximum(radiance @ _LUMA, 0.0)
        middle = float(np.exp(np.mean(np.log(luma + 1e-3 * luma.mean() + 1e-9))))
        upper = float(np.quantile(luma, 0.75))
        bright = float(np.quantile(luma, 0.97))
        gain = self.key / (0.5 * middle + 0.5 * upper + 1e-6)
        gain = min(gain, self.highlight / (bright + 1e-6), self.most_gain)
        return float(gain * 2.0**self.exposure_ev)

    def _through_lens(self, image: Image, depth_m: NDArray[np.float32]) -> Image:
        height, width = image.shape[:2]
        scale = width / 320.0
        if self.defocus_px > 0:
            image = _defocused(image, depth_m, self.defocus_px * scale, self.focus_m)
        if self.lens_blur_px > 0:
            image = _blurred(image, self.lens_blur_px * scale)
        if self.motion_px > 0:
            image = _shaken(image, self.motion_px * scale, self.motion_rad)
        if self.glare > 0:
            image = image * np.float32(1 - self.glare) + np.float32(self.glare) * image.mean((0, 1))
        if self.vignette > 0:
            y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
            falloff = 1 - self.vignette * (x * x + y * y) / 2
            image = image * falloff[..., None].astype(np.float32)
        return image

    def _on_sensor(self, image: Image, dice: Dice) -> Image:
        image = image * np.asarray(self.white_balance, np.float32)
        if self.noise_shot == 0 and self.noise_read == 0:
            return image
        # The sum of three uniforms is bell-shaped enough, and its stream is stable across numpy versions.
        uniform = dice.rng.random((3, *image.shape), dtype=np.float32)
        coloured = 2.0 * (uniform.sum(0) - 1.5)
        # Cameras smooth colour noise away before they touch brightness: most of what is left is grey.
        noise = 0.45 * coloured + 1.15 * coloured.mean(2, keepdims=True)
        if self.noise_grain_px > 0:
            noise = _blurred(noise, self.noise_grain_px)
            noise /= noise.std() + 1e-6
        level = np.sqrt(self.noise_shot**2 * np.maximum(image, 0.0) + self.noise_read**2)
        return np.asarray(image + noise * level, np.float32)

    def _tone(self, image: Image) -> Image:
        """Linear light to display values in [0, 1]."""
        image = np.maximum(image, 0.0)
        if self.curve == "film":
            image = image * (1 + image / 6.25) / (1 + image * 0.84)  # extended Reinhard: white at 2.05
        elif self.curve == "soft":
            image = 1.0 - np.exp(-1.25 * image)
        image = np.asarray(np.clip(image, 0.0, 1.0) ** (1 / self.gamma), np.float32)
        if self.sharpen > 0:
            crisp = image + self.sharpen * (image - _blurred(image, 1.0))
            image = np.asarray(np.clip(crisp, 0.0, 1.0), np.float32)
        if self.contrast:
            image = image + self.contrast * (image * image * (3 - 2 * image) - image)
        if self.saturation != 1:
            grey = np.asarray((image @ _LUMA)[..., None], np.float32)
            image = np.asarray(grey + self.saturation * (image - grey), np.float32)
        return np.asarray(np.clip(image, 0.0, 1.0), np.float32)


def _blurred(image: Image, sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.05)), np.float32)


def _defocused(image: Image, depth_m: NDArray[np.float32], far_px: float, focus_m: float) -> Image:
    """Blend between the image and blurred copies by the circle of confusion |1 - focus / z| (thin lens)."""
    distance = np.where(depth_m > 0, depth_m, np.inf)
    confusion = np.minimum(np.abs(1.0 - focus_m / distance) * far_px, 3.0 * far_px)
    confusion = cv2.GaussianBlur(confusion.astype(np.float32), (0, 0), max(0.5 * far_px, 0.5))
    levels = (0.0, far_px, 3.0 * far_px)
    copies = [image, _blurred(image, levels[1]), _blurred(image, levels[2])]
    near = np.clip(confusion / levels[1], 0.0, 1.0)[..., None]
    wide = np.clip((confusion - levels[1]) / (levels[2] - levels[1]), 0.0, 1.0)[..., None]
    mixed = copies[0] * (1 - near) + copies[1] * near
    return np.asarray(mixed * (1 - wide) + copies[2] * wide, np.float32)


def _shaken(image: Image, length_px: float, angle_rad: float) -> Image:
    """Blur along a straight line."""
    half = max(int(np.ceil(length_px / 2)), 1)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for t in np.linspace(-length_px / 2, length_px / 2, 8 * half + 1):
        column = half + round(float(t * np.cos(angle_rad)))
        row = half + round(float(t * np.sin(angle_rad)))
        kernel[row, column] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), np.float32)


def _bands(height: int, dice: Dice) -> Image:
    """(H, 1, 1) offsets of rows with a standard deviation of 1: each row's own, and what neighbours share."""
    own, shared = 2.0 * (dice.rng.random((2, 3, height, 1), dtype=np.float32).sum(1) - 1.5)
    shared = cv2.GaussianBlur(shared, (0, 0), 2.5, borderType=cv2.BORDER_REPLICATE).reshape(height, 1)
    rows = 0.8 * own + 0.6 * shared / (shared.std() + 1e-6)
    return np.asarray(rows[..., None], np.float32)


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])
