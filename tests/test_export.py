"""Export: every network's ONNX computes what torch computes, and checkpoints become a bundle that loads."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import InputError, OutputError, ParityError, UnknownNameError
from edgedepth.core.manifest import Accuracy
from edgedepth.core.routing import FixedRule, Hysteresis, Route, SceneRule
from edgedepth.core.spec import DepthSpec
from edgedepth.datasets import DepthDataset, DepthSample
from edgedepth.datasets.sample import Entry
from edgedepth.engines import open_session
from edgedepth.export import export_onnx, spec_for
from edgedepth.export.bundle_export import GOLDEN_PER_ROUTE, BundleRequest, ExportReport, export_bundle
from edgedepth.export.emulation import emulated_float16
from edgedepth.export.frames import probe_frames
from edgedepth.export.measure import count_gmacs, count_params
from edgedepth.export.original import TorchOriginal, exact_reference, reference
from edgedepth.export.parity import TOLERANCES, Tolerance, check, measure, parity_of
from edgedepth.export.passes import PassReport
from edgedepth.export.sources import resolve_sources
from edgedepth.export.storage import compact
from edgedepth.export.torch_onnx import InferenceGraph, offers_confidence, to_onnx
from edgedepth.export.validation import ValidationData, check_shift
from edgedepth.trainers.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgedepth.trainers.models.registry import (
    classifier_names,
    classifier_spec,
    create_network,
    default_spec,
    network_names,
)

# Odd ones among them: sizes that no stride divides.
SIZES = {"edge-low": (96, 72), "edge-high": (90, 70), "ds-sidenet-low": (96, 72), "ds-sidenet-high": (50, 34)}
# The networks of papers/2 to 5 in the size that a check can afford; `make sweep` has them whole.
REDUCED: dict[str, dict[str, object]] = {
    "sid-deeplab": {"backbone": "small"},
    "hqmd": {"backbone": "small", "width": 32},
    "drnet": {"backbone": "small"},
    "rside": {"backbone": "small"},
    "rsn": {"width": 0.125, "iterations": 2},
}
TINY = {
    "widths": (8, 8, 8, 16, 16),
    "depths": (0, 0, 1, 0, 0),
    "decoder_widths": (8, 8, 8, 8),
    "num_bins": 16,
    "regression": False,
}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights under which every layer matters: no zero convolutions, batch norms with real statistics."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.normal_(module.bias, std=0.1, generator=generator)
        if isinstance(module, nn.Conv2d) and float(module.weight.detach().abs().max()) < 0.01:
            nn.init.normal_(module.weight, std=0.05, generator=generator)
    network.train()
    with torch.no_grad():
        for frame in probe_frames((96, 96)):
            image = torch.from_numpy(frame[None].repeat(2, 0).transpose(0, 3, 1, 2) / np.float32(255))
            network(image)
    return network.eval()


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return lively(create_network("edge-low", **TINY))


@pytest.fixture(scope="module")
def tiny_spec() -> DepthSpec:
    return default_spec("edge-low", num_bins=16).at_size((64, 48))


def save_tiny(path: Path, tiny: nn.Module, spec: DepthSpec, max_m: float = 10.0) -> str:
    """Write a float16 checkpoint of the tiny network whose range reaches `max_m`."""
    network = create_network("edge-low", **TINY, max_m=max_m)
    network.load_state_dict(tiny.state_dict())
    save_checkpoint(
        path,
        network,
        network="edge-low",
        options={**TINY, "max_m": max_m},
        spec=spec.model_copy(update={"max_m": max_m, "beyond_m": 0.97 * max_m}),
        provenance={"data": "none"},
        dtype="float16",
    )
    return str(path)


@pytest.mark.parametrize("name", [*network_names(), *classifier_names()])
def test_every_network_agrees_with_torch(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    network = lively(create_network(name, **REDUCED.get(name, {})))
    depth = name in network_names()
    spec = (
        spec_for(name, SIZES.get(name, (50, 38)))
        if depth
        else classifier_spec(name).model_copy(update={"input_wh": (96, 64)})
    )
    export_onnx(network, spec, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert model.ir_version <= 10
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    frames = probe_frames(spec.input_wh)
    parity_of(network, tmp_path / "net.onnx", frames, backend="onnxruntime")
    parity_of(network, tmp_path / "net.onnx", frames[-2:], backend="openvino")


@pytest.mark.parametrize("kind", ["frame", "image"])
def test_inputs_and_outputs_are_as_promised(tmp_path: Path, tiny: nn.Module, tiny_spec: DepthSpec, kind: str) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(tiny, tiny_spec, path, input_kind=kind, confidence=True, optimise=False)  # type: ignore[arg-type]
    with open_session(path, "onnxruntime") as session:
        (given,) = session.inputs
        expected = {"frame": (np.uint8, (1, 48, 64, 3)), "image": (np.float32, (1, 3, 48, 64))}[kind]
        assert (given.name, given.dtype, given.shape) == (kind, *expected)
        assert [(out.name, out.dtype, out.shape) for out in session.outputs] == [
            (name, np.float32, (1, 1, 48, 64)) for name in ("depth_m", "confidence")
        ]
    parity_of(tiny, path, probe_frames(tiny_spec.input_wh))


def test_confidence_agrees_too(tmp_path: Path, tiny: nn.Module, tiny_spec: DepthSpec) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(tiny, tiny_spec, path, confidence=True)
    frame = probe_frames(tiny_spec.input_wh)[-1]
    image = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1].transpose(2, 0, 1)[None])) / 255
    with torch.no_grad():
        _, expected = tiny(image, confidence=True)
    for backend in ("onnxruntime", "openvino"):
        with open_session(path, backend) as session:
            actual = session.run({"frame": frame[None]}, ["confidence"])["confidence"]
        np.testing.assert_allclose(actual, expected.numpy(), atol=1e-4)


def test_training_mode_is_left_as_it_was_and_training_branches_stay_behind(
    tmp_path: Path, tiny_spec: DepthSpec
) -> None:
    network = create_network("edge-low", **{**TINY, "regression": True})
    network.train()
    export_onnx(network, tiny_spec, tmp_path / "net.onnx", optimise=False)
    assert network.training
    names = [entry.name for entry in onnx.load(tmp_path / "net.onnx").graph.initializer]
    assert names
    assert not [name for name in names if "regression" in name]


def test_frame_input_swaps_channels_and_scales() -> None:
    class Echo(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image

    frame = torch.tensor([[[[255, 51, 0]]]], dtype=torch.uint8)  # one BGR pixel
    rgb = InferenceGraph(Echo(), "frame")(frame)
    assert isinstance(rgb, Tensor)
    torch.testing.assert_close(rgb.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_confidence_of_a_network_without_is_refused(tmp_path: Path, tiny_spec: DepthSpec) -> None:
    network = create_network("ds-sidenet-low", branches="reg").eval()
    assert not offers_confidence(network)
    with pytest.raises(InputError, match="no confidence"):
        export_onnx(network, tiny_spec, tmp_path / "net.onnx", confidence=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "int4"}, UnknownNameError, "int4.*fp32, fp16"),
        ({"optimise": False, "precision": "fp16"}, InputError, "plain fp32 graph"),
        ({"optimise": False, "half_storage": True}, InputError, "plain fp32 graph"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path,
    tiny: nn.Module,
    tiny_spec: DepthSpec,
    options: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        export_onnx(tiny, tiny_spec, tmp_path / "net.onnx", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "net.onnx").exists()


def test_spec_for_a_size_keeps_the_field_of_view() -> None:
    base, double = spec_for("edge-low"), spec_for("edge-low", (640, 480))
    assert double.input_wh == (640, 480)
    assert double.f_canonical_px == pytest.approx(2 * base.f_canonical_px)
    with pytest.raises(UnknownNameError, match="edge-mid"):
        spec_for("edge-mid")


def test_measure_is_relative_and_refuses_what_is_not_finite() -> None:
    parity = measure([np.array([1.0, 2.0])], [np.array([1.01, 2.0])], against="torch")
    assert parity.max_relative == pytest.approx(0.01)
    assert parity.p999_relative == pytest.approx(0.01, rel=1e-2)
    with pytest.raises(ParityError, match="1 of 2 exported values are not finite"):
        measure([np.ones(2)], [np.array([1.0, np.nan])], against="torch")


def test_a_network_that_answers_no_number_is_told_from_an_export_that_does() -> None:
    good, bad = [np.ones(4)], [np.array([1, np.nan, 1, 1])]
    with pytest.raises(ParityError, match=r"1 of 4 values of the network itself are not finite; .* black frames"):
        measure(bad, bad, against="torch")
    with pytest.raises(ParityError, match=r"1 of 4 exported values are not finite; export in fp32"):
        measure(good, bad, against="torch")


def test_parity_error_has_the_numbers() -> None:
    parity = measure([np.ones(1000)], [np.full(1000, 1.1)], against="torch")
    with pytest.raises(ParityError, match=r"1\.00e-01 \(limit 1e-03\).*maximum 1\.00e-01 \(limit 1e-02\)"):
        check(parity, Tolerance(p999=1e-3, maximum=1e-2), what="net.onnx")


class Amplifier(nn.Module):
    """A difference of large numbers: float32 keeps three digits of it, in whatever order it is summed."""

    def forward(self, image: Tensor) -> Tensor:
        light = image.mean(dim=1, keepdim=True) + 0.5
        return (light * 1e5 + light) - light * 1e5


@pytest.mark.parametrize(("error", "passes"), [(0.0, True), (2e-3, True), (0.2, False)])
def test_networks_that_amplify_rounding_are_judged_by_float64(tmp_path: Path, error: float, passes: bool) -> None:
    """A graph as near to float64 as torch's own float32 is, about half a percent here, is right; others are not."""
    frames = probe_frames((32, 24))
    exact = [exact_reference(Amplifier(), frame) for frame in frames]
    expected = [reference(Amplifier(), frame) for frame in frames]
    own = measure(exact, expected, against="float64")
    assert own.p999_relative > TOLERANCES["fp32"].p999
    model = to_onnx(Amplifier(), (32, 24))
    (last,) = (node for node in model.graph.node if node.output[0] == "depth_m")
    last.output[0] = "right"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 + error), "error"))
    model.graph.node.append(helper.make_node("Mul", ["right", "error"], ["depth_m"]))
    onnx.save(model, tmp_path / "net.onnx")
    if passes:
        assert parity_of(Amplifier(), tmp_path / "net.onnx", frames).frames == len(frames)
    else:
        with pytest.raises(ParityError, match=r"net\.onnx on onnxruntime does not agree with float64"):
            parity_of(Amplifier(), tmp_path / "net.onnx", frames)


def test_a_wrong_graph_fails_parity(tmp_path: Path, made: Path, tiny: nn.Module, tiny_spec: DepthSpec) -> None:
    path = tmp_path / "net.onnx"
    model = onnx.load(made / "out" / "edge-low.fp32.onnx")
    clip = next(node for node in model.graph.node if node.op_type == "Clip")
    node = helper.make_node("Add", [clip.input[0], clip.input[0]], ["twice"])
    clip.input[0] = "twice"
    model.graph.node.insert(list(model.graph.node).index(clip), node)
    onnx.save(model, path)
    with pytest.raises(ParityError, match=r"net\.onnx on onnxruntime does not agree with float64 on 6 frames"):
        parity_of(tiny, path, probe_frames(tiny_spec.input_wh))


def conv_model(weight: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "net.conv.weight"], ["y"])],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weight.shape[1], 6, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[0], 4, 3])],
        [numpy_helper.from_array(weight, "net.conv.weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_half_storage_keeps_folded_weights_by_their_base() -> None:
    """A float16 checkpoint weight times a folded float32 scale is stored without loss; the file is half the size."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(32, 16, 3, 3)).astype(np.float16)
    scale = rng.uniform(0.1, 3, (32, 1, 1, 1)).astype(np.float32)
    model = conv_model(base.astype(np.float32) * scale)
    stored = compact(model, {"conv.weight": base.astype(np.float32)})
    naive = compact(model)
    assert len(stored.SerializeToString()) < 0.55 * len(model.SerializeToString())
    x = rng.normal(size=(1, 16, 6, 5)).astype(np.float32)

    def run(m: onnx.ModelProto) -> np.ndarray:
        return np.asarray(onnx.reference.ReferenceEvaluator(m).run(None, {"x": x})[0])

    assert np.abs(run(stored) - run(model)).max() < 1e-5
    assert np.abs(run(naive) - run(model)).max() > 1e-4


def test_counts_of_a_known_convolution() -> None:
    model = conv_model(np.ones((32, 16, 3, 3), np.float32))
    assert count_params(model) == 32 * 16 * 9
    assert count_gmacs(model) == pytest.approx(32 * 16 * 9 * (4 * 3) / 1e9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: nn.Module, tiny_spec: DepthSpec) -> Path:
    """A folder with tiny.safetensors, its baseline, and the bundle `out` exported of it in fp32 and fp16."""
    folder = tmp_path_factory.mktemp("made")
    save_tiny(folder / "tiny.safetensors", tiny, tiny_spec)
    np.save(folder / "tiny.baseline.npy", np.zeros((24, 32), np.float32))
    source = resolve_sources([str(folder / "tiny.safetensors")])
    request = BundleRequest(
        depth=source.depth,
        name="mine",
        precisions=("fp32", "fp16"),
        golden={Route.LOW: [np.full((30, 40, 3), 90, np.uint8)]},
        baselines=source.baselines,
        half_storage=True,
    )
    export_bundle(request, folder / "out")
    return folder


def test_bundle_of_one_network(made: Path) -> None:
    bundle = Bundle.load(made / "out")
    manifest = bundle.manifest
    assert manifest.name == "mine"
    assert manifest.router.rule == FixedRule(route=Route.LOW)
    network = manifest.networks[Route.LOW]
    assert set(network.variants) == {"fp32", "fp16"}
    assert set(network.parity) == {"plain", "fp32", "fp16"}
    for parity in network.parity.values():
        assert parity.mean_relative is not None
        assert parity.mean_relative <= parity.p999_relative <= parity.max_relative
    assert network.accuracy == {}
    assert network.parity["fp32"].p999_relative <= 1e-3
    assert network.confidence
    assert network.params > 1000
    assert network.gmacs > 0
    assert manifest.provenance["low.data"] == "none"
    baseline = bundle.baseline(network)
    assert baseline is not None
    assert baseline.shape == (48, 64)


def test_golden_depth_is_the_networks_answer_to_the_golden_frame(made: Path) -> None:
    bundle = Bundle.load(made / "out")
    (golden,) = bundle.manifest.golden  # the one that was given
    frame = cv2.imread(str(bundle.path(golden.frame)))
    assert frame is not None
    network = load_checkpoint(made / "tiny.safetensors").build()
    expected = reference(network, frame.astype(np.uint8))[0, 0]
    np.testing.assert_allclose(np.load(bundle.path(golden.depth)), expected, rtol=1e-5)


@pytest.mark.parametrize("route", list(Route))
def test_golden_frames_of_the_shipped_bundle_reach_from_end_to_end_of_the_range(route: Route) -> None:
    """An engine that is wrong at one end, or where there is sky, must not pass because no golden frame shows it."""
    bundle = Bundle.load()
    depth_m = np.stack(
        [np.load(bundle.path(golden.depth)) for golden in bundle.manifest.golden if golden.route is route]
    )
    spec = bundle.manifest.networks[route].spec
    near, far = np.quantile(depth_m, (0.001, 0.999))
    assert np.log(far / near) > 0.8 * np.log(spec.max_m / spec.min_m)
    if route is Route.HIGH:
        assert spec.beyond_m is not None
        assert (depth_m >= spec.beyond_m).mean() > 0.05


def test_bundle_of_two_with_a_scene_router(tmp_path: Path, tiny: nn.Module, tiny_spec: DepthSpec) -> None:
    scene = create_network("scene-small")
    save_checkpoint(
        tmp_path / "scene.safetensors",
        scene,
        network="scene-small",
        options={},
        spec=classifier_spec("scene-small"),
        provenance={},
    )
    far = save_tiny(tmp_path / "far.safetensors", tiny, tiny_spec, 80.0)
    near = save_tiny(tmp_path / "near.safetensors", tiny, tiny_spec, 10.0)
    sources = resolve_sources([far, near, str(tmp_path / "scene.safetensors")])
    assert sources.depth[Route.LOW].spec.max_m == 10.0  # type: ignore[union-attr]
    request = BundleRequest(depth=sources.depth, router=sources.router)
    report = export_bundle(request, tmp_path / "out")
    manifest = report.bundle.manifest
    assert set(manifest.networks) == {Route.LOW, Route.HIGH}
    # both routes have a network of the same name, so their files are told apart by the route
    assert manifest.networks[Route.LOW].variants["fp32"].file != manifest.networks[Route.HIGH].variants["fp32"].file
    rule = manifest.router.rule
    assert isinstance(rule, SceneRule)
    assert 2 * rule.top_k < len(rule.categories)
    assert rule.top_k % 2 == 1
    assert manifest.router.scene is not None
    assert manifest.router.hysteresis == Hysteresis.of_votes()
    by_range = replace(request, rule=rule.model_copy(update={"vote": "expected"}))  # which counts no votes
    assert export_bundle(by_range, tmp_path / "by range").bundle.manifest.router.hysteresis == Hysteresis()


def test_fp16_and_a_backends_own_form(tmp_path: Path, made: Path) -> None:
    """The file for TensorRT keeps the soft-argmax that it compiles into one kernel."""
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    request = BundleRequest(depth=depth, precisions=("fp16",), backends=("tensorrt",))
    network = export_bundle(request, tmp_path / "out").bundle.manifest.networks[Route.LOW]
    assert set(network.variants) == {"fp32", "fp16", "fp32@tensorrt", "fp16@tensorrt"}
    assert all(entry.frames == 6 + GOLDEN_PER_ROUTE for entry in network.parity.values())
    model = onnx.load(tmp_path / "out" / network.variant("fp16", "tensorrt").file)
    kinds = {node.op_type for node in model.graph.node}
    assert "ReduceSum" in kinds
    assert "MatMul" not in kinds
    weights = [entry for entry in model.graph.initializer if len(entry.dims) == 4 and entry.dims[0] > 4]
    assert {entry.data_type for entry in weights} == {TensorProto.FLOAT16}


def test_parity_in_half_precision_is_that_of_rounded_tensors(made: Path) -> None:
    """What onnxruntime computes of an FP16 file on a CPU is float32 in between, and looks better than a GPU's."""
    bundle = Bundle.load(made / "out")
    network = bundle.manifest.networks[Route.LOW]
    rounded = made / "rounded.onnx"
    onnx.save(emulated_float16(onnx.load(bundle.path(network.variants["fp16"]))), rounded)
    torch_network = load_checkpoint(made / "tiny.safetensors").build()
    golden = cv2.imread(str(bundle.path(bundle.manifest.golden[0].frame)))
    assert golden is not None
    frames = [golden.astype(np.uint8), *probe_frames(network.spec.input_wh)]
    found = parity_of(torch_network, rounded, frames, precision="fp16")
    assert network.parity["fp16"].max_relative == pytest.approx(found.max_relative, rel=1e-3)
    assert network.parity["fp16"].max_relative > 1e-4


def test_half_precision_is_audited_on_validation_frames_too(
    tmp_path: Path, made: Path, tiny: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedepth.export import variants

    seen: list[int] = []
    real = variants.audited_float16

    def counted(model: onnx.ModelProto, inputs: list[np.ndarray]) -> tuple[onnx.ModelProto, tuple[str, ...]]:
        seen.append(len(inputs))
        return real(model, inputs)

    monkeypatch.setattr(variants, "audited_float16", counted)
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    validation = ValidationData(data="pairs:mine", samples={Route.LOW: labelled(tiny)})
    export_bundle(BundleRequest(depth=depth, precisions=("fp16",), validation=validation), tmp_path / "out")
    assert seen == [len(probe_frames((64, 48))) + GOLDEN_PER_ROUTE + len(validation.samples[Route.LOW])]


def labelled(tiny: nn.Module, count: int = 3) -> list[DepthSample]:
    """Samples at network size whose truth is what the network answers, times a tenth more."""
    rng = np.random.default_rng(0)
    frames = [cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 2) for _ in range(count)]
    return [
        DepthSample(
            id=str(number),
            image_bgr=frame.astype(np.uint8),
            depth_m=(1.1 * reference(tiny, frame.astype(np.uint8))[0, 0]).astype(np.float32),
            route=Route.LOW,
        )
        for number, frame in enumerate(frames)
    ]


def test_accuracy_on_labelled_data_is_recorded(tmp_path: Path, made: Path, tiny: nn.Module) -> None:
    """The original, the plain graph and every variant, by the one evaluation: a prediction 1 / 1.1 of the truth."""
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    network = depth[Route.LOW].build()  # type: ignore[union-attr]
    validation = ValidationData(data="pairs:mine", samples={Route.LOW: labelled(network)})
    request = BundleRequest(depth=depth, precisions=("fp16",), validation=validation)
    accuracy = export_bundle(request, tmp_path / "out").bundle.manifest.networks[Route.LOW].accuracy
    assert set(accuracy) == {"original", "plain", "fp32", "fp16"}
    for entry in accuracy.values():
        assert (entry.data, entry.images) == ("pairs:mine", 3)
        assert entry.abs_rel == pytest.approx(1 - 1 / 1.1, abs=2e-3)
        assert entry.delta1 == 1.0
    assert accuracy["plain"].abs_rel == pytest.approx(accuracy["original"].abs_rel, abs=1e-5)


def test_labelled_data_for_each_route(monkeypatch: pytest.MonkeyPatch, made: Path, tiny: nn.Module) -> None:
    """--validate: samples of a network's route, or of none; rendered ones for "world", in the input's shape."""
    from edgedepth.calibration import world_frames
    from edgedepth.deployment import validation_data

    asked: list[tuple[Route, tuple[int, int]]] = []

    def rendered(route: Route, input_wh: tuple[int, int], *, frames: int) -> DepthDataset:
        assert frames <= 32
        asked.append((route, input_wh))
        samples = [replace(sample, route=which) for sample, which in
                   zip(labelled(tiny), (Route.LOW, None, Route.HIGH), strict=True)]  # fmt: skip
        return DepthDataset("synth:x", tuple(Entry(sample, lambda info: info) for sample in samples))  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(world_frames, "world_dataset", rendered)
    request = BundleRequest(depth=resolve_sources([str(made / "tiny.safetensors")]).depth)
    found = validation_data("world", request)
    validation_data("world", replace(request, input_wh=(1248, 384)))
    assert asked == [(Route.LOW, (64, 48)), (Route.LOW, (160, 49))]  # no finer than it needs to be
    assert [sample.route for sample in found.samples[Route.LOW]] == [Route.LOW, None]
    monkeypatch.setattr(world_frames, "world_dataset", lambda *_, **__: DepthDataset("synth:x", ()))
    with pytest.raises(InputError, match="no sample of the route low"):
        validation_data("world", request)


def test_accuracy_that_moves_fails_with_the_numbers() -> None:
    original = Accuracy(data="nyu:DIR", images=9, abs_rel=0.1, delta1=0.9)
    close = original.model_copy(update={"abs_rel": 0.1009, "delta1": 0.897})
    assert check_shift(close, original, "fp16", what="net.fp16.onnx") is close
    with pytest.raises(ParityError, match=r"9 images of nyu:DIR: abs_rel 0\.1009 and not 0\.1000.*delta1 0\.8970"):
        check_shift(close, original, "fp32", what="net.onnx")
    worse = original.model_copy(update={"delta1": 0.894})
    with pytest.raises(ParityError, match="leave --fp16 away"):
        check_shift(worse, original, "fp16", what="net.fp16.onnx")


def test_a_bundle_of_open_size_runs_at_others(tmp_path: Path, made: Path) -> None:
    """--dynamic: one graph for every multiple of the network's stride; the rewrites that hold at any size are in it."""
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    request = BundleRequest(depth=depth, input_wh=(128, 64), dynamic=True, precisions=("fp16",))
    report = export_bundle(request, tmp_path / "out")
    network = report.bundle.manifest.networks[Route.LOW]
    assert network.parity["fp32"].frames == 8 + GOLDEN_PER_ROUTE
    fired = {entry.name for entry in report.passes["edge-low"] if entry.fired}
    assert fired >= {"merge-affine", "soft-argmax"}
    frame = probe_frames((64, 128))[-1]
    expected = reference(load_checkpoint(made / "tiny.safetensors").build(), frame)
    for backend in ("onnxruntime", "openvino"):
        with open_session(report.bundle.path(network.variants["fp32"]), backend) as session:
            assert session.inputs[0].shape == (1, None, None, 3)
            found = session.run({"frame": frame[None]}, ["depth_m"])["depth_m"]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_open_size_needs_multiples_of_the_strides(tmp_path: Path, made: Path) -> None:
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    with pytest.raises(InputError, match=r"multiples of 64, but the network's input is 64x48; give --size.* 64x64"):
        export_bundle(BundleRequest(depth=depth, dynamic=True), tmp_path / "out")


def test_a_network_that_cannot_be_traced_is_one_line(tmp_path: Path, tiny_spec: DepthSpec) -> None:
    class Wild(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image if float(image.sum()) > 0 else -image

    with pytest.raises(InputError, match=r"Wild cannot be traced.*make its forward traceable") as error:
        export_onnx(Wild(), tiny_spec, tmp_path / "net.onnx")
    assert "\n" not in str(error.value)


def test_sets_that_make_no_bundle(made: Path) -> None:
    tiny = str(made / "tiny.safetensors")
    with pytest.raises(InputError, match="2 depth networks and 0 routers"):
        resolve_sources([tiny, tiny])
    with pytest.raises(UnknownNameError, match="edge-mid"):
        resolve_sources(["edge-mid"])
    with pytest.raises(InputError, match="no weights of ds-sidenet-low are shipped"):
        resolve_sources(["ds-sidenet-low"])
    with pytest.raises(InputError, match="at least one"):
        BundleRequest(depth={})


def test_a_folder_that_is_not_a_bundle_is_left_alone(tmp_path: Path, made: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    request = BundleRequest(depth=resolve_sources([str(made / "tiny.safetensors")]).depth)
    with pytest.raises(OutputError, match="is not a bundle"):
        export_bundle(request, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["diary.txt"]


def test_a_failed_export_leaves_the_bundle_that_was_there(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedepth.export import variants

    shutil.copytree(made / "out", tmp_path / "out")
    before = Bundle.load(tmp_path / "out").digest
    request = BundleRequest(depth=resolve_sources([str(made / "tiny.safetensors")]).depth)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(variants, "parity_with", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(request, tmp_path / "out")
    assert Bundle.load(tmp_path / "out").digest == before
    assert not list((tmp_path / "out").glob(".*"))
    # what a killed export leaves does not stand in the way
    (tmp_path / "new" / ".edgedepth-killed").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(request, tmp_path / "new")


def test_a_folder_of_any_name_takes_a_bundle(tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedepth.cli import main

    with pytest.raises(SystemExit) as done:
        main(["export", str(made / "tiny.safetensors"), "-o", str(tmp_path / "my bündle"), "--no-engines", "--json"])
    assert done.value.code == 0
    assert json.loads(capsys.readouterr().out)["name"] == "my-b-ndle"


def test_a_network_that_insists_on_float32_has_no_exact_answer() -> None:
    class Insists(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return nn.functional.conv2d(image, torch.ones(1, 3, 1, 1))

    assert TorchOriginal(Insists()).exact(np.zeros((4, 4, 3), np.uint8)) is None


def test_exporting_again_replaces_the_bundle(tmp_path: Path, made: Path) -> None:
    shutil.copytree(made / "out", tmp_path / "out")
    depth = resolve_sources([str(made / "tiny.safetensors")]).depth
    export_bundle(BundleRequest(depth=depth), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.onnx")] == ["edge-low.fp32.onnx"]
    assert not (tmp_path / "out" / "baseline" / "low.npy").exists()
    assert list(Bundle.load(tmp_path / "out").manifest.networks[Route.LOW].variants) == ["fp32"]


def test_several_sizes_make_a_bundle_each(tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedepth.cli import main

    out, sizes = tmp_path / "b", "50x38,64x48"
    with pytest.raises(SystemExit) as exit_code:
        main(["export", str(made / "tiny.safetensors"), "--size", sizes, "-o", str(out), "--no-engines", "--json"])
    assert exit_code.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert [entry["networks"]["low"]["input_wh"] for entry in result["bundles"]] == [[50, 38], [64, 48]]
    assert [entry["name"] for entry in result["bundles"]] == ["b-50x38", "b-64x48"]
    focal = [Bundle.load(out / size).manifest.networks[Route.LOW].spec.f_canonical_px for size in sizes.split(",")]
    assert focal[0] / focal[1] == pytest.approx(50 / 64)
    assert [entry["own_size"] for entry in result["bundles"]] == [{"edge-low": [64, 48]}, {}]


def test_command(tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedepth.cli import main

    with pytest.raises(SystemExit) as exit_code:
        main(["export", str(made / "tiny.safetensors"), "--size", "96x64", "-o", str(tmp_path / "b"), "--json"])
    assert exit_code.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert result["networks"]["low"]["input_wh"] == [96, 64]
    assert list(result["networks"]["low"]["variants"]) == ["fp32"]
    assert {entry["name"] for entry in result["passes"]["edge-low"]} >= {"soft-argmax"}


@pytest.mark.parametrize("explain", [False, True])
def test_explain_says_what_fired_and_why_others_refused(
    made: Path, capsys: pytest.CaptureFixture[str], explain: bool
) -> None:
    from edgedepth.cli.export import _tell
    from edgedepth.deployment import Deployment

    why = "the convolution is not a dense 1x1 of constant weights"
    passes = (
        PassReport(name="soft-argmax", fired=("sum",), refused=()),
        PassReport(name="upsample-conv", fired=(), refused=(("conv_7", why),)),
    )
    report = ExportReport(
        bundle=Bundle.load(made / "out"),
        passes={"edge-low": passes},
        unfit={"edge-low": ("loud",)},
        own_wh={"edge-low": (96, 64)},
    )
    _tell(Deployment(export=report, calibration=None, engines=(), checks=()), explain=explain)
    said = capsys.readouterr().err
    assert "edge-low: rewrites soft-argmax 1x" in said
    assert "1 tensors do not fit float16 and stay float32: loud" in said
    assert "edge-low: its own size is 96x64; unless it was trained at this one" in said
    assert (f"refused at conv_7: {why}" in said) is explain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--int8", "--budget", "little"], "--budget is ABS_REL"),
        (["--size", "320"], "written WxH"),
        (["--size", "64x48,64x48"], "a size twice"),
        (["--validate", "nyu"], "a data set is named kind:path"),
        (["--golden", "middle:x.png"], "low:FILE or high:FILE"),
        (["--golden", "low:absent.png"], "absent.png is not an image"),
        (["--backend", "openvino-gpu"], "known: tensorrt, onnxruntime, openvino"),
        (["nothing.safetensors"], "nothing.safetensors"),
    ],
)
def test_command_refuses_with_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedepth.cli import main

    with pytest.raises(SystemExit) as exit_code:
        main(["export", *arguments])
    assert exit_code.value.code == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_public_places365_weights_are_a_router(tmp_path: Path) -> None:
    """papers/1, section 3: the scene classifier that Ours-sc asks."""
    torch.manual_seed(0)
    network = create_network("scene-wrn18")
    path = tmp_path / "wideresnet18_places365.pth.tar"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    sources = resolve_sources(["edge-low", "edge-high", str(path)])
    router = sources.router
    assert isinstance(router, Checkpoint)
    assert (router.network, len(router.spec.categories)) == ("scene-wrn18", 365)
    assert torch.equal(router.state["fc.weight"], network.state_dict()["fc.weight"])
    assert set(sources.depth) == {Route.LOW, Route.HIGH}
    with pytest.raises(InputError, match=r"no file at .*download wideresnet18_places365"):
        resolve_sources(["edge-low", "edge-high", str(tmp_path / "absent.pth.tar")])
