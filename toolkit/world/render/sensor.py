"""Makes a photograph of radiance: exposure, optics, noise, tone curve and JPEG of a drawn camera.

The order is that of a real camera: light meter, lens (blur, vignette, glare), sensor (white balance, noise),
then processing (sharpening, tone, saturation, compression). Blur is given in pixels of a 320 pixel wide image
and grows with the width; defocus follows from the aperture, noise is that of the pixels the sensor has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgedepth.core.errors import InputError
from edgedepth.world.builder import Dice
from edgedepth.world.scene import Colour

Image = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CURVES = ("clip", "film", "soft")
_MOST_BLACK = 0.14  # of the range: a bright fog stays without shadows
_LEAST_WHITE = 0.3  # of the light at which a plain curve is white: nights stay dark
_LEAST_DEFOCUS_PX, _MOST_DEFOCUS = 0.15, 0.02  # blurs too small to see; the widest, as a share of the width


@dataclass(frozen=True, kw_only=True)
class SensorModel:
    """One camera and one moment. Draw it with `SensorModel.draw`; the defaults are a clean, neutral camera.

    `exposure_ev` is the error of the light meter in stops; `key` the brightness it aims at; `highlight` the
    largest value (in units of white) it lets the brightest 3 % of the picture reach; `most_gain` the most by which
    it brightens; `meter_low` has it look at the lower half alone, so that skies and windows burn out; `curve` is
    'clip', 'film' or 'soft'. `burnt` is the share of the picture that processing lets go white (0: it leaves the
    range as it is); somewhat less goes black, at least what is below `black` of the range. `noise_shot`,
    `noise_read` are standard deviations at white and at black in units of white, in pictures as wide as the sensor,
    `native_px` (0: as wide as asked for); `noise_rows` is that of whole rows (bands, as a rolling shutter has them
    in low light). `aperture_m` is the width of the lens's opening (0: all is sharp); it is focused on what is seen
    at `focus_at`, in shares of the width and height from the middle, but for an error: the distance is `focus_miss`
    times that. `motion_px`, `motion_rad` are a linear shake; `jpeg_quality` 0 means no extra compression.
    """

    exposure_ev: float = 0.0
    key: float = 0.3
    highlight: float = 2.0
    most_gain: float = math.inf
    meter_low: bool = False
    white_balance: Colour = (1.0, 1.0, 1.0)
    vignette: float = 0.0
    glare: float = 0.0
    lens_blur_px: float = 0.0
    aperture_m: float = 0.0
    focus_at: tuple[float, float] = (0.0, 0.0)
    focus_miss: float = 1.0
    motion_px: float = 0.0
    motion_rad: float = 0.0
    noise_shot: float = 0.0
    noise_read: float = 0.0
    noise_grain_px: float = 0.0
    noise_rows: float = 0.0
    native_px: int = 0
    sharpen: float = 0.0
    curve: str = "film"
    black: float = 0.0
    burnt: float = 0.0
    gamma: float = 2.2
    contrast: float = 0.0
    saturation: float = 1.0
    jpeg_quality: int = 0

    @classmethod
    def draw(cls, dice: Dice, *, skies: bool = False) -> SensorModel:
        """A random camera: mostly decent, sometimes blurred, dim, noisy or badly compressed.

        `skies` says that there is a sky above, or behind windows: some cameras let it burn out.
        """
        dim = dice.chance(0.12)
        tint, magenta = dice.normal(0.07), dice.normal(0.025)
        camera = cls(
            exposure_ev=dice.normal(0.4) - (dice.uniform(0.3, 1.5) if dim else 0.0),
            key=dice.uniform(0.22, 0.36),
            highlight=dice.uniform(1.5, 5.0),
            white_balance=(1 + tint, 1 - magenta, 1 - tint),
            vignette=dice.uniform(0.05, 0.45) if dice.chance(0.4) else 0.0,
            glare=dice.uniform(0.01, 0.12) if dice.chance(0.2) else 0.0,
            lens_blur_px=dice.uniform(0.3, 0.9) if dice.chance(0.5) else 0.0,
            aperture_m=dice.uniform(0.001, 0.006),
            focus_at=(dice.uniform(-0.15, 0.15), dice.uniform(-0.15, 0.15)),
            focus_miss=2.0 ** dice.uniform(-2.0, 2.0) if dice.chance(0.15) else 1.0,
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
            native_px=0 if dice.chance(0.025) else dice.integer(640, 1920),
        )
        camera = replace(camera, meter_low=dice.chance(0.3) and skies)
        if dice.chance(0.25):  # a hard tone curve
            black, burnt = dice.uniform(0.01, 0.03), dice.uniform(0.08, 0.22)
            camera = replace(camera, curve="clip", contrast=1.0, black=black, burnt=burnt)
        return camera

    def photograph(
        self, radiance: Image, depth_m: NDArray[np.float32], dice: Dice, *, focal_px: float | None = None
    ) -> NDArray[np.uint8]:
        """The picture this camera takes.

        Args:
            radiance: (H, W, 3) float32 linear RGB.
            depth_m: (H, W) float32, 0 where there is only sky; used by defocus.
            dice: source of the noise.
            focal_px: focal length in pixels, used by defocus; 0.8 of the width without it.

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
        image = self._through_lens(image, depth_m, focal_px or 0.8 * radiance.shape[1])
        image = self._on_sensor(image, dice)
        if self.noise_rows > 0:
            image = image + self.noise_rows * _bands(len(image), dice)
        image = self._tone(image)
        picture = (image * 255.0 + 0.5).astype(np.uint8)
        return _compressed(picture, self.jpeg_quality) if self.jpeg_quality else picture

    def _exposure(self, radiance: Image) -> float:
        """The meter: aims the mid-tones at `key`, but holds back where highlights would burn out."""
        seen = radiance[len(radiance) // 2 :] if self.meter_low else radiance
        luma = np.maximum(seen @ _LUMA, 0.0)
        middle = float(np.exp(np.mean(np.log(luma + 1e-3 * luma.mean() + 1e-9))))
        upper = float(np.quantile(luma, 0.75))
        bright = float(np.quantile(luma, 0.97))
        gain = self.key / (0.5 * middle + 0.5 * upper + 1e-6)
        gain = min(gain, self.highlight / (bright + 1e-6), self.most_gain)
        return float(gain * 2.0**self.exposure_ev)

    def _through_lens(self, image: Image, depth_m: NDArray[np.float32], focal_px: float) -> Image:
        height, width = image.shape[:2]
        scale = width / 320.0
        if self.aperture_m > 0:
            image = _blurred_by(image, self._confusion(depth_m, focal_px))
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

    def _confusion(self, depth_m: NDArray[np.float32], focal_px: float) -> Image:
        """The circle of confusion of a thin lens, as the standard deviation of its blur in pixels (H, W)."""
        nearness = np.divide(1.0, depth_m, out=np.zeros_like(depth_m), where=depth_m > 0)  # 1/m
        height, width = depth_m.shape
        across, down = self.focus_at
        focus = nearness[int((0.5 + down) * height), int((0.5 + across) * width)] / self.focus_miss
        diameter = self.aperture_m * focal_px * np.abs(nearness - focus)
        return np.asarray(diameter / 4, np.float32)  # of a disc

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
        shrunk = min(1.0, image.shape[1] / self.native_px) if self.native_px else 1.0  # shrinking takes the mean
        level = shrunk * np.sqrt(self.noise_shot**2 * np.maximum(image, 0.0) + self.noise_read**2)
        return np.asarray(image + noise * level, np.float32)

    def _tone(self, image: Image) -> Image:
        """Linear light to display values in [0, 1]."""
        image = np.maximum(image, 0.0)
        if self.burnt > 0:
            dark, middle, bright = np.quantile(image @ _LUMA, (0.7 * self.burnt, 0.5, 1 - self.burnt)).tolist()
            white = max(bright, 1.35 * middle, _LEAST_WHITE)  # where all is as bright, as on snow, most of it stays
            black = max(self.black, min(dark / white, _MOST_BLACK))
            image = np.maximum(image / white - black, 0.0) / np.float32(1 - black)
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


def _blurred_by(image: Image, sigma_px: Image) -> Image:
    """Blur each pixel by its own width (H, W): a blend between the image and two blurred copies."""
    most = min(float(sigma_px.max()), _MOST_DEFOCUS * image.shape[1])
    if most < _LEAST_DEFOCUS_PX:
        return image
    levels = (most / 3, most)
    sigma_px = _blurred(sigma_px, max(0.5 * levels[0], 0.5))
    near = np.clip(sigma_px / levels[0], 0.0, 1.0)[..., None]
    wide = np.clip((sigma_px - levels[0]) / (levels[1] - levels[0]), 0.0, 1.0)[..., None]
    mixed = image * (1 - near) + _blurred(image, levels[0]) * near
    return np.asarray(mixed * (1 - wide) + _blurred(image, levels[1]) * wide, np.float32)


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
