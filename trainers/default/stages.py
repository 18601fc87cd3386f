"""The stages of the recipe of the shipped weights, in order: what is trained, on which renderings and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgedepth.trainers.config import AugmentConfig, LossConfig, Optimizer, Precision


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run of the recipe: on which renderings, and after which stage, whose checkpoint it starts from.

    blend: share of what it has learned in the weights it hands on; the rest is of the stage `blend_from`: halfway
        between two kinds of data or augmentation is better on pictures of neither kind.
    gpu: would take days on a CPU, and is left out where there is no GPU unless it is asked for by name.
    """

    network: str
    minutes: float
    lr: float
    batch: int
    size: tuple[int, int] | None = None
    after: str | None = None
    data: tuple[str, ...] = ("indoor", "street")
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    precision: Precision = "fp32"
    optimizer: Optimizer = "adamw"
    options: Mapping[str, object] = field(default_factory=dict)
    blend: float = 1.0
    blend_from: str | None = None
    gpu: bool = False


# A router sees whole scenes: little zoom, but every colour there is. Every window takes a random shape, for rooms and
# streets are rendered in different ones, and the shape must not tell them apart.
# Exchanged spectra keep it from telling far from near by their light alone.
_SCENE = AugmentConfig(
    max_zoom=1.35, aspects=(0.8, 2.2), reshape=1.0, whole=0.0, photometric=0.9, spectra=0.25, cutout=0.15
)
# The last stage comes closer to what cameras give, very wide frames among it.
_SCENE_FINE = AugmentConfig(
    max_zoom=1.3, aspects=(0.9, 3.4), reshape=0.7, whole=0.1, photometric=0.7, spectra=0.1, cutout=0.1
)
_SCENES = ("indoor", "street", "bare")
_LATER_SCENES = (
    "indoor-third", "street-third", "company-bent", "gallery-bent", "crossing-bent", "jam-bent", "close", "weather",
    "halls",
)  # fmt: skip
_ALL_SCENES = (
    "indoor-world", "indoor-tones", "indoor-large", "street-world", "company-world", "company-large", "crossing-world",
    "jam-world", "close-world", "weather-world", "halls-world", "street-single", "jam-single", "crossing-single",
    "weather-single", "street-third", "company-bent",
)  # fmt: skip
_SMALL = ("close-small", "halls-small", "crossing-small", "weather-small", "street-small")
_NEAR_WORLD = ("indoor-world", "indoor-tones", "indoor-third", "company-bent", "gallery-bent")
_NEAR_LARGE = ("indoor-large", "company-large", "gallery-large", "close-large")
_FAR_LARGE = (
    "jam-large", "street-large", "crossing-large", "jam-single", "street-single", "crossing-single", "weather-single",
)  # fmt: skip
_NEAR_FRESH = ("indoor-fresh", "sunny-fresh", "close-fresh", "company-fresh", "gallery-fresh", "halls-fresh")
_NEAR_LATER = (
    "indoor-later", "halls-later", "close-later", "sunny-later", "company-later",
    "indoor-fresh", "halls-fresh", "sunny-fresh", "company-fresh", "gallery-fresh",
)  # fmt: skip
_NEAR_SCANNED = ("scan-later", "scan-later", *(name for name in _NEAR_LATER if name != "sunny-fresh"))
# Letterboxed frames of the high network are often very wide (KITTI's are 3.3 : 1).
_WIDE = AugmentConfig(aspects=(0.9, 3.4))
_FINE, _FINE_WIDE = AugmentConfig(max_zoom=1.3), AugmentConfig(max_zoom=1.3, aspects=(0.9, 3.4))
# Real cameras and rooms look like none of the world's: colours, textures and light of every kind over the same shapes.
_STYLE = AugmentConfig(photometric=1.0, spectra=0.4, texture=0.5)
_STYLE_WIDE = replace(_STYLE, aspects=_WIDE.aspects)
# Part of it is enough once it has been seen; the rest of the frames look as they were rendered.
_STYLE_PART = AugmentConfig(max_zoom=1.4, photometric=0.9, spectra=0.2, texture=0.25)
_STYLE_PART_WIDE = replace(_STYLE_PART, aspects=_WIDE.aspects)
_STYLE_PART_FINE = replace(_STYLE_PART, max_zoom=1.3)
_STYLE_PART_FINE_WIDE = replace(_STYLE_PART_WIDE, max_zoom=1.3)
# The encoder learns on small images; it sees the whole image in the stages at full size, and half of it in the last.
_NO_SECOND_HEAD = {"regression": False, "half": False}
_HALF = {"half": True}
# Back from there, to go on with small images: the last correction is left out and learned again.
_WHOLE = {"half": False}
# Cameras are not held level, and most are not rectified (the rendered lenses bend lines as well).
_ROLLED = AugmentConfig(max_zoom=1.3, reshape=0.3, photometric=0.9, spectra=0.2, texture=0.25, roll_deg=6.0)
# A wall that the sun shines on in part is one wall.
_ROLLED_LIT = replace(_ROLLED, light=0.25)
# Cameras in hands are turned further than that.
_TURNED = replace(_ROLLED_LIT, roll_deg=10.0)
_ROLLED_FINE = AugmentConfig(max_zoom=1.2, reshape=0.2, photometric=0.8, spectra=0.15, texture=0.15, roll_deg=4.0)
_ROLLED_WIDE = replace(_ROLLED, reshape=0.4, aspects=_WIDE.aspects, roll_deg=2.0)
_ROLLED_WIDER = replace(
    _ROLLED_WIDE, aspects=(1.2, 3.8), whole=0.2, reshape=0.7, photometric=0.8, spectra=0.1, texture=0.15
)
_ROLLED_EVEN_WIDE = replace(_ROLLED_WIDER, aspects=(1.0, 3.6), reshape=0.6)  # as many ordinary frames as very wide ones
_ROLLED_LIT_WIDE = AugmentConfig(
    max_zoom=1.3, aspects=(1.0, 3.6), whole=0.2, reshape=0.5, photometric=0.9, spectra=0.2, texture=0.2, roll_deg=2.0,
    light=0.15,
)  # fmt: skip
_ROLLED_PART_WIDE = replace(_ROLLED_WIDE, reshape=0.5, photometric=0.8, spectra=0.1, texture=0.15)
# Once the layout is learned, errors count as abs_rel counts them: too far is worse than too near.
_RELATIVE, _RELATIVE_MORE = LossConfig(relative=0.5), LossConfig(relative=2.0)
# What is left then is soft: the last stage asks for steps where the scene has them.
_RELATIVE_AND_EDGES = LossConfig(relative=2.0, gradient=2.0)
_RELATIVE_AND_PLANES = LossConfig(relative=2.0, gradient=1.0)
# People and cars are few pixels, and what matters.
_RELATIVE_AND_THINGS = LossConfig(relative=2.0, gradient=2.0, foreground=2.0)
_RELATIVE_PLANES_AND_THINGS = replace(_RELATIVE_AND_PLANES, foreground=1.0)

# What is learned first, how large things are and how they lie, does not need many pixels: a step at a third of the size
# costs a tenth. Each stage goes on from the one before; the size of the last one is the size that is shipped.
STAGES: Mapping[str, Stage] = {
    "router-third": Stage(
        network="scene-small", minutes=12, lr=2e-3, batch=32, size=(64, 48), data=_SCENES, augment=_SCENE
    ),
    "router-half": Stage(
        network="scene-small",
        minutes=18,
        lr=1e-3,
        batch=32,
        size=(96, 72),
        after="router-third",
        data=_SCENES,
        augment=_SCENE,
    ),
    "router-plain": Stage(
        network="scene-small",
        minutes=8,
        lr=1e-3,
        batch=32,
        size=(96, 72),
        after="router-half",
        data=(*_SCENES, "gallery"),
        augment=_SCENE_FINE,
    ),
    "router-full": Stage(
        network="scene-small",
        minutes=13,
        lr=6e-4,
        batch=32,
        size=(128, 96),
        after="router-plain",
        data=(*_SCENES, "gallery"),
        augment=_SCENE_FINE,
    ),
    "router-gallery": Stage(
        network="scene-small",
        minutes=25,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router-full",
        data=(*_SCENES, "gallery", "gallery-more"),
        augment=_SCENE_FINE,
    ),
    "router-people": Stage(
        network="scene-small",
        minutes=25,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router-gallery",
        blend=0.5,
        blend_from="router-gallery",
        data=(*_SCENES, "gallery", "gallery-more", "company", "crossing"),
        augment=_SCENE_FINE,
    ),
    "router-halls": Stage(
        network="scene-small",
        minutes=15,
        lr=8e-4,
        batch=32,
        size=(128, 96),
        after="router-people",
        blend=0.5,
        blend_from="router-people",
        data=_LATER_SCENES,
        augment=_SCENE_FINE,
    ),
    "router": Stage(
        network="scene-small",
        minutes=9,
        lr=6e-4,
        batch=32,
        size=(128, 96),
        after="router-halls",
        blend=0.8,
        blend_from="router-people",
        data=(*_LATER_SCENES, "gallery-bent", "gallery-bent"),  # or a white wall is forgotten over the halls
        augment=_SCENE_FINE,
    ),
    "router-world": Stage(
        network="scene-small",
        minutes=24,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router",
        data=(
            "indoor-world",
            "street-world",
            "company-world",
            *("gallery-world",) * 3,
            "crossing-world",
            "jam-world",
            "close-world",
            "weather-world",
            "halls-world",
            "street-third",
            "company-bent",
        ),
        augment=_SCENE_FINE,
    ),
    "router-more": Stage(
        network="scene-small",
        minutes=45,
        lr=1e-3,
        batch=32,
        size=(128, 96),
        after="router-world",
        data=(*_ALL_SCENES, *("gallery-world",) * 3),
        augment=_SCENE_FINE,
        optimizer="muon",
    ),
    # More of everything else makes it forget white walls; here they are a quarter of what it sees.
    "router-white": Stage(
        network="scene-small",
        minutes=13,
        lr=4e-4,
        batch=32,
        size=(128, 96),
        after="router-more",
        data=(*_ALL_SCENES, *("gallery-world", "gallery-bent", "gallery-large") * 4),
        augment=_SCENE_FINE,
        optimizer="muon",
    ),
    "router-close": Stage(
        network="scene-small",
        minutes=48,
        lr=6e-4,
        batch=32,
        size=(128, 96),
        after="router-white",
        blend=0.5,
        blend_from="router-white",
        data=(*_ALL_SCENES, *("gallery-world", "gallery-bent", "gallery-large") * 4, *_SMALL),
        augment=_SCENE_FINE,
        optimizer="muon",
    ),
    "low-third": Stage(network="edge-low", minutes=26, lr=1.5e-3, batch=8, size=(96, 72), options=_NO_SECOND_HEAD),
    "low-half": Stage(
        network="edge-low", minutes=22, lr=1e-3, batch=16, size=(160, 120), after="low-third", loss=_RELATIVE
    ),
    "low-near": Stage(
        network="edge-low",
        minutes=12,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-half",
        augment=_FINE,
        loss=_RELATIVE_MORE,
    ),
    "low-mid": Stage(
        network="edge-low",
        minutes=8,
        lr=4e-4,
        batch=16,
        size=(160, 120),
        after="low-near",
        augment=_FINE,
        loss=_RELATIVE_MORE,
    ),
    "low-long": Stage(
        network="edge-low",
        minutes=45,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-mid",
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-full": Stage(
        network="edge-low",
        minutes=20,
        lr=5e-4,
        batch=16,
        after="low-long",
        augment=_FINE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-fine": Stage(
        network="edge-low",
        minutes=34,
        lr=6e-4,
        batch=16,
        after="low-full",
        augment=_FINE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-sharp": Stage(
        network="edge-low",
        minutes=85,
        lr=8e-4,
        batch=16,
        after="low-fine",
        augment=_FINE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "low-style": Stage(
        network="edge-low",
        minutes=35,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-sharp",
        augment=_STYLE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-more": Stage(
        network="edge-low",
        minutes=60,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-style",
        data=("indoor", "indoor-more"),
        augment=_STYLE_PART,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "low-whole": Stage(
        network="edge-low",
        minutes=20,
        lr=6e-4,
        batch=16,
        after="low-more",
        blend=0.5,
        blend_from="low-style",
        data=("indoor", "indoor-more"),
        augment=_STYLE_PART_FINE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
        options=_HALF,
    ),
    "low-rolled": Stage(
        network="edge-low",
        minutes=10,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-whole",
        data=("indoor-third",),
        augment=_ROLLED,
        loss=_RELATIVE_AND_PLANES,
        options=_WHOLE,
    ),
    "low-people": Stage(
        network="edge-low",
        minutes=50,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-rolled",
        data=("indoor-third", "company-bent", "gallery-bent"),
        augment=_ROLLED,
        loss=_RELATIVE_AND_PLANES,
    ),
    "low": Stage(
        network="edge-low",
        minutes=12,
        lr=4e-4,
        batch=16,
        after="low-people",
        data=("indoor-bent", "indoor-bent", "company-bent", "gallery-bent"),
        augment=_ROLLED_FINE,
        loss=_RELATIVE_AND_EDGES,
        options=_HALF,
    ),
    "low-tones": Stage(
        network="edge-low",
        minutes=16,
        lr=5e-4,
        batch=16,
        size=(160, 120),
        after="low",
        data=("indoor-tones", "indoor-tones", "indoor-third", "company-bent", "gallery-bent"),
        augment=_ROLLED,
        loss=_RELATIVE_AND_PLANES,
        options=_WHOLE,
    ),
    "low-world": Stage(
        network="edge-low",
        minutes=80,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-tones",
        blend=0.5,
        blend_from="low-tones",
        data=_NEAR_WORLD,
        augment=_ROLLED,
        loss=_RELATIVE_AND_PLANES,
        optimizer="muon",
    ),
    "low-light": Stage(
        network="edge-low",
        minutes=122,
        lr=1e-3,
        batch=16,
        size=(160, 120),
        after="low-world",
        data=(*_NEAR_WORLD, "close-world"),
        augment=_ROLLED_LIT,
        loss=_RELATIVE_AND_PLANES,
        optimizer="muon",
    ),
    "low-company": Stage(
        network="edge-low",
        minutes=24,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-light",
        blend=0.7,
        blend_from="low-light",
        data=(*_NEAR_WORLD, "close-world", "company-world", "gallery-world"),
        augment=_ROLLED_LIT,
        loss=_RELATIVE_AND_PLANES,
        optimizer="muon",
    ),
    "low-things": Stage(
        network="edge-low",
        minutes=112,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-company",
        blend=0.7,
        blend_from="low-company",
        data=(*_NEAR_WORLD, *_NEAR_LARGE, "close-world", "company-world", "gallery-world", "halls-world"),
        augment=_ROLLED_LIT,
        loss=_RELATIVE_PLANES_AND_THINGS,
        optimizer="muon",
    ),
    "low-sunny": Stage(
        network="edge-low",
        minutes=98,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-things",
        data=_NEAR_FRESH,
        augment=_ROLLED_LIT,
        loss=_RELATIVE_PLANES_AND_THINGS,
        optimizer="muon",
    ),
    "low-turned": Stage(
        network="edge-low",
        minutes=80,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-sunny",
        blend=0.9,
        blend_from="low-sunny",
        data=_NEAR_LATER,
        augment=_TURNED,
        loss=_RELATIVE_PLANES_AND_THINGS,
        optimizer="muon",
        precision="bf16",
    ),
    "low-scanned": Stage(
        network="edge-low",
        minutes=85,
        lr=6e-4,
        batch=16,
        size=(160, 120),
        after="low-turned",
        blend=0.7,
        blend_from="low-turned",
        data=_NEAR_SCANNED,
        augment=_TURNED,
        loss=_RELATIVE_PLANES_AND_THINGS,
        optimizer="muon",
        precision="bf16",
    ),
    "high-third": Stage(
        network="edge-high",
        minutes=26,
        lr=1.5e-3,
        batch=8,
        size=(144, 82),
        augment=_WIDE,
        options=_NO_SECOND_HEAD,
    ),
    "high-half": Stage(
        network="edge-high",
        minutes=22,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-third",
        augment=_WIDE,
        loss=_RELATIVE,
    ),
    "high-near": Stage(
        network="edge-high",
        minutes=12,
        lr=6e-4,
        batch=16,
        size=(224, 128),
        after="high-half",
        augment=_FINE_WIDE,
        loss=_RELATIVE_MORE,
    ),
    "high-long": Stage(
        network="edge-high",
        minutes=40,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-near",
        augment=_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-fine": Stage(
        network="edge-high",
        minutes=20,
        lr=5e-4,
        batch=16,
        after="high-long",
        augment=_FINE_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-sharp": Stage(
        network="edge-high",
        minutes=85,
        lr=8e-4,
        batch=16,
        after="high-fine",
        augment=_FINE_WIDE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
    ),
    "high-style": Stage(
        network="edge-high",
        minutes=35,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-sharp",
        augment=_STYLE_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-more": Stage(
        network="edge-high",
        minutes=60,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-style",
        data=("street", "street-more", "jam"),
        augment=_STYLE_PART_WIDE,
        loss=_RELATIVE_MORE,
        precision="bf16",
    ),
    "high-whole": Stage(
        network="edge-high",
        minutes=20,
        lr=6e-4,
        batch=16,
        after="high-more",
        blend=0.3,
        blend_from="high-more",
        data=("street", "street-more", "jam"),
        augment=_STYLE_PART_FINE_WIDE,
        loss=_RELATIVE_AND_EDGES,
        precision="bf16",
        options=_HALF,
    ),
    "high-people": Stage(
        network="edge-high",
        minutes=44,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-whole",
        blend=0.6,
        blend_from="high-whole",
        data=("street-third", "jam-bent", "crossing-bent"),
        augment=_ROLLED_WIDE,
        loss=_RELATIVE_AND_PLANES,
        options=_WHOLE,
    ),
    "high-halls": Stage(
        network="edge-high",
        minutes=80,
        lr=8e-4,
        batch=16,
        size=(224, 128),
        after="high-people",
        data=("street-third", "jam-bent", "jam-more", "crossing-bent", "weather", "halls"),
        augment=_ROLLED_PART_WIDE,
        loss=_RELATIVE_AND_PLANES,
    ),
    "high-tones": Stage(
        network="edge-high",
        minutes=16,
        lr=5e-4,
        batch=16,
        size=(224, 128),
        after="high-halls",
        data=(*("street-tones", "jam-tones") * 2, "jam-more", "crossing-bent", "weather", "halls"),
        augment=_ROLLED_WIDER,
        loss=_RELATIVE_AND_PLANES,
    ),
    "high-world": Stage(
        network="edge-high",
        minutes=88,
        lr=1e-3,
        batch=16,
        size=(224, 128),
        after="high-tones",
        blend=0.5,
        blend_from="high-tones",
        data=(
            "street-world",
            "jam-world",
            "street-tones",
            "jam-tones",
            "crossing-world",
            "weather-world",
            "halls-world",
            "jam-more",
            "street-third",
        ),
        augment=_ROLLED_EVEN_WIDE,
        loss=_RELATIVE_AND_PLANES,
        optimizer="muon",
    ),
    "high-things": Stage(
        network="edge-high",
        minutes=53,
        lr=6e-4,
        batch=16,
        size=(224, 128),
        after="high-world",
        data=(*_FAR_LARGE * 2, "street-world", "jam-world", "halls-world", "jam-tones", "street-tones"),
        augment=_ROLLED_LIT_WIDE,
        loss=_RELATIVE_AND_THINGS,
        optimizer="muon",
    ),
    "high-longer": Stage(
        network="edge-high",
        minutes=85,
        lr=6e-4,
        batch=16,
        size=(224, 128),
        after="high-things",
        data=(*_FAR_LARGE * 2, "street-world", "jam-world", "halls-world", "jam-tones", "street-tones"),
        augment=_ROLLED_LIT_WIDE,
        loss=_RELATIVE_AND_THINGS,
        optimizer="muon",
    ),
    "ds-sidenet-low-half": Stage(
        network="ds-sidenet-low", minutes=30, lr=1e-3, batch=32, size=(160, 120), precision="bf16", gpu=True
    ),
    "ds-sidenet-low": Stage(
        network="ds-sidenet-low", minutes=60, lr=5e-4, batch=16, after="ds-sidenet-low-half", precision="bf16", gpu=True
    ),
    "ds-sidenet-high-half": Stage(
        network="ds-sidenet-high",
        minutes=30,
        lr=1e-3,
        batch=16,
        size=(624, 192),
        augment=_WIDE,
        precision="bf16",
        gpu=True,
    ),
    "ds-sidenet-high": Stage(
        network="ds-sidenet-high",
        minutes=60,
        lr=5e-4,
        batch=8,
        after="ds-sidenet-high-half",
        augment=_WIDE,
        precision="bf16",
        gpu=True,
    ),
}
