"""Networks from elsewhere: a torch module or an ONNX file with a TOML file goes the whole way to the runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgedepth import DepthRuntime
from edgedepth.calibration.calibrate import calibrate_bundle
from edgedepth.calibration.config import CalibrationConfig
from edgedepth.calibration.guard import Budget
from edgedepth.cli import main
from edgedepth.core.errors import InputError
from edgedepth.core.foreign import ForeignSpec, load_foreign
from edgedepth.core.routing import Route
from edgedepth.engines import open_session
from edgedepth.engines.tensorrt.build import engine_from_onnx
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import load_flavour
from edgedepth.export.adapter import Adapted, NetworkInput, NetworkOutput, pick
from edgedepth.export.original import ForeignSource, module_from
from edgedepth.export.sources import resolve_sources
from edgedepth.export.torch_onnx import to_onnx
from tests.conftest import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "own_network"
FRAME = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
RANGE = (0.5, 8.0)


def spec(**fields: object) -> ForeignSpec:
    base = {"name": "mine", "size": "64x48", "range_m": RANGE, "focal_px": 50.0, "output": {"kind": "depth"}}
    return ForeignSpec.model_validate({**base, **fields})


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_code:
        main(["export", *arguments, "--no-engines"])
    return int(str(exit_code.value.code))


# -- the contract --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("size = '64'", "a size is written WxH"),
        ("range_m = [3, 1]", "max_m must exceed min_m"),
        ("focal_px = -1", "focal_px: Input should be greater than 0"),
        ("colour = 1", "colour: Extra inputs are not permitted"),
        ("size = [64, 48", "is not TOML"),
        ("input = {std = [1, 0, 1]}", "none may be 0"),
        ("output = {kind = 'metres'}", "output.kind: Input should be 'depth', 'disparity', 'log-depth' or 'bins'"),
        ("output = {kind = 'bins'}", "needs either count"),
        ("output = {kind = 'bins', count = 1, centres_m = [1, 2, 3]}", "needs either count"),
        ("output = {kind = 'bins', count = 5, centres_m = [1]}", "needs either count"),
        ("output = {kind = 'bins', centres_m = [1]}", "of 2 bins or more"),
        ("output = {kind = 'bins', count = 8, scale = 2}", "scale and shift are not for"),
        ("output = {kind = 'depth', count = 8}", 'count is for kind "bins"'),
        ("module = 'a:b'\nonnx = 'c'", "module and onnx exclude each other"),
    ],
)
def test_a_contract_that_cannot_be_is_refused_in_one_line(tmp_path: Path, line: str, message: str) -> None:
    fields = {"name": "'mine'", "size": "'64x48'", "range_m": "[1, 2]", "focal_px": "50", "output": "{kind = 'depth'}"}
    fields.pop(line.partition(" ")[0], None)
    path = tmp_path / "mine.toml"
    path.write_text("\n".join([*(f"{key} = {value}" for key, value in fields.items()), line]))
    with pytest.raises(InputError, match=r"mine\.toml") as error:
        load_foreign(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own_networks\.md"):
        load_foreign(tmp_path / "absent.toml")


# -- the algebra of both ends ----------------------------------------------------------------------------------


def test_input_is_as_the_network_wants_it() -> None:
    image = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)  # RGB
    form = {"channels": "bgr", "white": 255, "mean": (10, 20, 30), "std": (1, 2, 3)}
    given = NetworkInput(spec(input=form).input)(image)
    torch.testing.assert_close(given.flatten(), torch.tensor([-10.0, (127.5 - 20) / 2, (255.0 - 30) / 3]))
    assert NetworkInput(spec(input={"layout": "nhwc"}).input)(torch.zeros(1, 3, 4, 5)).shape == (1, 4, 5, 3)


@pytest.mark.parametrize(
    ("output", "answer", "metres"),
    [
        ({"kind": "depth"}, [0.0, 2.0, 99.0], [0.5, 2.0, 8.0]),
        ({"kind": "depth", "scale": 10, "shift": 1}, [0.0, 0.2, 99.0], [1.0, 3.0, 8.0]),
        ({"kind": "disparity"}, [0.0, 0.5, 99.0], [8.0, 2.0, 0.5]),
        ({"kind": "disparity", "scale": 0.1, "shift": 0.05}, [-3.0, 2.0, 99.0], [8.0, 4.0, 0.5]),
        ({"kind": "log-depth"}, [-99.0, np.log(3.0), 99.0], [0.5, 3.0, 8.0]),
        ({"kind": "log-depth", "scale": 2.302585}, [-99.0, np.log10(3.0), 99.0], [0.5, 3.0, 8.0]),
    ],
)
def test_answers_become_metres(output: dict[str, object], answer: list[float], metres: list[float]) -> None:
    decode = NetworkOutput(spec(output=output).output, spec().depth_spec())
    found = decode(torch.tensor(answer, dtype=torch.float32).view(1, 1, 1, 3), (1, 3))
    torch.testing.assert_close(found.flatten(), torch.tensor(metres))


def test_bins_become_their_expectation() -> None:
    logits = torch.full((1, 4, 1, 2), -40.0)
    logits[0, 1, 0, 0] = logits[0, 3, 0, 1] = 40.0
    own = spec(output={"kind": "bins", "count": 4})
    # bin 2 of 4 is the geometric middle of the range, bin 4 its end
    expected = torch.tensor([(RANGE[0] * RANGE[1]) ** 0.5, RANGE[1]])
    torch.testing.assert_close(NetworkOutput(own.output, own.depth_spec())(logits, (1, 2)).flatten(), expected)
    theirs = spec(output={"kind": "bins", "centres_m": [1, 2, 3, 7], "distribution": "probabilities"})
    decode = NetworkOutput(theirs.output, theirs.depth_spec())
    torch.testing.assert_close(decode(logits.softmax(1), (1, 2)).flatten(), torch.tensor([2.0, 7.0]))


def test_small_maps_are_enlarged_and_wrong_ones_refused() -> None:
    decode = NetworkOutput(spec().output, spec().depth_spec())
    assert decode(torch.ones(1, 6, 8), (48, 64)).shape == (1, 1, 48, 64)
    with pytest.raises(InputError, match=r"1 channel\(s\), but the network answers 1x2x6x8"):
        decode(torch.ones(1, 2, 6, 8), (48, 64))


def test_one_of_several_answers_is_picked() -> None:
    a, b = torch.zeros(1), torch.ones(1)
    assert pick([a, b], 1) is b
    assert pick({"far": a, "near": b}, "near") is b
    assert pick({"far": a, "near": b}, 0) is a
    with pytest.raises(InputError, match=r"\['far'\].*no tensor 'near'; set output.tensor"):
        pick({"far": a}, "near")
    with pytest.raises(InputError, match="no tensor 2"):
        pick((a, b), 2)


# -- finding the network ------------------------------------------------------------------------------------------


def test_modules_are_found_by_file_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_nets.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Conv2d(3, 1, 1)\nfive = lambda: 5\n"
    )
    monkeypatch.chdir(tmp_path)
    for target in (f"{tmp_path}/odd_nets.py:make", "odd_nets:make"):
        assert isinstance(module_from(target), torch.nn.Conv2d)
    for target, message in {
        "odd_nets": "package.file:factory",
        "odd_nets:absent": "AttributeError",
        "odd_nets:five": "must give a torch.nn.Module, but gave int",
        "absent_nets:make": "ModuleNotFoundError",
        "absent.py:make": "no file at absent.py",
    }.items():
        with pytest.raises(InputError, match=message):
            module_from(target)


def test_two_folders_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for name, answer in (("near", 2.0), ("far", 30.0)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "layers.py").write_text(f"import torch\ndef head():\n    return torch.nn.Threshold(1e9, {answer})\n")
        (folder / "net.py").write_text(
            "from layers import head\ndef make():\n    import layers  # late\n    assert layers.head is head\n"
            "    return head()\n"
        )
    networks = [module_from(f"{tmp_path}/{name}/net.py:make") for name in ("near", "far")]
    assert [float(network(torch.zeros(1))) for network in networks] == [2.0, 30.0]
    assert not {"layers", "net"} & set(sys.modules)
    assert str(tmp_path / "near") not in sys.path


def test_a_module_and_its_contract_are_one_source_among_others() -> None:
    """--module with --spec; an ONNX file with --spec, or with the TOML file beside it."""
    contract = EXAMPLE / "mynet.toml"
    (source,) = resolve_sources([], module="nets:make", spec=contract).depth.values()
    assert isinstance(source, ForeignSource)
    assert (source.network, source.foreign.module, source.foreign.onnx) == ("mynet", "nets:make", None)
    (source,) = resolve_sources(["x.onnx"], spec=contract).depth.values()
    assert isinstance(source, ForeignSource)
    assert (source.foreign.module, source.foreign.onnx) == (None, "x.onnx")
    (source,) = resolve_sources([str(contract)]).depth.values()
    assert isinstance(source, ForeignSource)
    assert source.foreign.module == f"{EXAMPLE}/mynet.py:make"


def test_a_source_without_a_network_is_refused() -> None:
    with pytest.raises(InputError, match="needs `module` or `onnx`"):
        ForeignSource(spec()).open()


# -- the whole way ---------------------------------------------------------------------------------------------------


def check_bundle(folder: Path, expected_m: np.ndarray) -> None:
    """The runtime answers what the network answers, by every file of the bundle."""
    for precision, tolerance in (("fp32", 1e-3), ("fp16", 2e-2)):
        with DepthRuntime.load(folder, backend="onnxruntime", precision=precision) as depth:
            found = depth(FRAME).raw_depth_m
        assert found.shape == expected_m.shape
        assert np.median(np.abs(found - expected_m) / expected_m) < tolerance


def test_the_documented_example_goes_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/own_networks.md: a torch module that answers disparity at half size, to FP16, INT8, engine and runtime."""
    monkeypatch.chdir(EXAMPLE)
    out = tmp_path / "bundle"
    assert run("mynet.toml", "--fp16", "--size", "64x48", "-o", str(out), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    low = result["networks"]["low"]
    assert low["network"] == "mynet"
    assert set(low["variants"]) == {"fp32", "fp16"}
    assert set(low["parity"]) == {"plain", "fp32", "fp16"}
    assert low["parity"]["fp32"]["against"] == "torch"
    assert {entry["name"] for entry in result["passes"]["mynet"] if entry["fired"]} >= {"merge-affine"}
    foreign = load_foreign(EXAMPLE / "mynet.toml")
    network = Adapted(module_from("mynet.py:make"), foreign)
    image = torch.from_numpy(FRAME[..., ::-1].transpose(2, 0, 1).copy())[None] / 255
    with torch.no_grad():
        check_bundle(out, network(image)[0, 0].numpy())
    engine = engine_from_onnx(out / "mynet.fp16.onnx", BuildConfig(targets=("sm86",)), load_flavour("tensorrt-rtx"))
    assert engine.sidecar.precision == "fp16"
    calibrated = calibrate_bundle(
        out,
        str(pictures(tmp_path / "frames", 48)),
        config=CalibrationConfig(methods=("minmax",), backends=("onnxruntime",), budget=Budget(drift=0.2, delta1=0.5)),
    )
    record = calibrated.bundle.manifest.networks[Route.LOW].int8["int8@onnxruntime"]
    assert record.int8_macs > 0
    assert record.within_budget, record.why


def pictures(folder: Path, count: int) -> Path:
    """Distinct frames of blurred noise."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count):
        noise = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), noise)
    return folder


def old_onnx(path: Path, *, layout: str = "nchw", opset: int = 12) -> None:
    """A file as older exporters write them: batch norms unfolded, batch and size open, an answer of half size."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    head = rng.normal(0, 0.2, (1, 8, 1, 1)).astype(np.float32)
    norm = {name: rng.uniform(0.5, 1.5, 8).astype(np.float32) for name in ("gain", "bias", "mean", "variance")}
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["a"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["a", *norm], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "head"], ["d"], kernel_shape=[1, 1]),
        helper.make_node("Clip", ["d", "low", "high"], ["depth"]),
        helper.make_node("Relu", ["c"], ["features"]),
    ]
    shape: list[str | int] = ["n", 3, "h", "w"]
    if layout == "nhwc":
        nodes.insert(0, helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]))
        nodes[5].output[0] = "e"
        nodes.append(helper.make_node("Transpose", ["e"], ["depth"], perm=[0, 2, 3, 1]))
        shape = ["n", "h", "w", 3]
    constants = {"weight": weight, "head": head, **norm, "low": np.float32(-2), "high": np.float32(2)}
    graph = helper.make_graph(
        nodes,
        "old",
        [helper.make_tensor_value_info("image" if layout == "nhwc" else "x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("features", "depth")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7), path)


@pytest.mark.parametrize(("stride", "taken"), [(None, True), (128, False)])
def test_a_network_that_halves_more_often_says_so(stride: int | None, taken: bool) -> None:
    class Net(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(dim=1, keepdim=True) + 1

    network = Net()
    if stride is not None:
        network.stride = stride
    adapted = Adapted(network, load_foreign(EXAMPLE / "mynet.toml"))
    if taken:
        to_onnx(adapted, (160, 160), dynamic=True)
    else:
        with pytest.raises(InputError, match=r"takes multiples of 128, but .* 160x160"):
            to_onnx(adapted, (160, 160), dynamic=True)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_an_old_onnx_file_goes_the_whole_way(tmp_path: Path, layout: str) -> None:
    old_onnx(tmp_path / "old.onnx", layout=layout)
    (tmp_path / "old.toml").write_text(
        "name = 'old'\nsize = '64x48'\nrange_m = [0.5, 8]\nfocal_px = 50\n"
        f"[input]\nlayout = '{layout}'\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n"
        "[output]\nkind = 'log-depth'\ntensor = 'depth'\n"
    )
    out = tmp_path / "bundle"
    assert run(str(tmp_path / "old.onnx"), "--fp16", "-o", str(out)) == 0
    model = onnx.load(out / "old.fp32.onnx")
    assert model.opset_import[0].version == 20
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    source = ForeignSource(load_foreign(tmp_path / "old.toml").model_copy(update={"onnx": str(tmp_path / "old.onnx")}))
    check_bundle(out, source.open().answer(FRAME)[0, 0])


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"output": {"kind": "depth", "tensor": "metres"}}, r"no output 'metres', but \['features', 'depth'\]"),
        ({"output": {"kind": "depth", "tensor": 0}}, "channel.*network answers 1x8x24x32"),
        ({"input": {"layout": "nhwc"}}, "takes .x3x.x., but the TOML file's layout"),
    ],
)
def test_an_onnx_file_that_does_not_fit_its_contract(tmp_path: Path, field: dict[str, object], message: str) -> None:
    path = tmp_path / "old.onnx"
    old_onnx(path)
    foreign = spec(**{"output": {"kind": "depth", "tensor": 1}, "onnx": str(path), **field})
    with pytest.raises(InputError, match=message):
        ForeignSource(foreign).open().trace((64, 48), output="depth_m", dynamic=False)


def branching_onnx(path: Path, *, decided: bool) -> None:
    """Twice or thrice the image's mean, by a constant or by the image itself."""
    branches = [
        helper.make_graph(
            [helper.make_node("Mul", ["mean", factor], [f"of_{factor}"])],
            factor,
            [],
            [helper.make_tensor_value_info(f"of_{factor}", TensorProto.FLOAT, [1, 1, 48, 64])],
        )
        for factor in ("two", "three")
    ]
    nodes = [
        helper.make_node("ReduceMean", ["image", "channels"], ["mean"]),
        helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["two" if decided else "largest", "one"], ["bright"]),
        helper.make_node("If", ["bright"], ["depth"], then_branch=branches[0], else_branch=branches[1]),
    ]
    numbers = {"one": 1.0, "two": 2.0, "three": 3.0}
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in numbers.items()]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "channels"))
    graph = helper.make_graph(
        nodes,
        "branching",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 48, 64])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 48, 64])],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize("decided", [True, False])
def test_a_network_that_decides_while_it_runs_is_refused(
    tmp_path: Path, decided: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    branching_onnx(tmp_path / "branching.onnx", decided=decided)
    (tmp_path / "branching.toml").write_text(
        "name = 'branching'\nsize = '64x48'\nrange_m = [0.01, 8]\nfocal_px = 50\noutput = {kind = 'depth'}\n"
    )
    code = run(str(tmp_path / "branching.onnx"), "-o", str(tmp_path / "bundle"))
    err = capsys.readouterr().err
    assert code == (0 if decided else 1), err
    if not decided:
        assert "the network has If in it, a graph inside a graph" in err


def typed_onnx(path: Path, kind: int, *, opened: bool = False) -> None:
    """The image's mean, in millimetres for whole numbers, beside a mask; opened: with -1 for sizes that are open."""
    scale = 1.0 if kind in (TensorProto.FLOAT16, TensorProto.DOUBLE) else 1000.0
    nodes = [
        helper.make_node("ReduceMean", ["image", "channels"], ["mean"]),
        helper.make_node("Greater", ["mean", "zero"], ["mask"]),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["depth"], to=kind),
    ]
    constants = {"channels": np.array([1], np.int64), "zero": np.float32(0), "scale": np.float32(scale)}
    shape = [-1, 1, -1, -1] if opened else ["n", 1, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "typed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [shape[0], 3, *shape[2:]])],
        [helper.make_tensor_value_info("mask", TensorProto.BOOL, shape),
         helper.make_tensor_value_info("depth", kind, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT16, TensorProto.INT32])
@pytest.mark.parametrize("opened", [False, True])
def test_answers_of_any_type_become_metres(tmp_path: Path, kind: int, opened: bool) -> None:
    typed_onnx(tmp_path / "typed.onnx", kind, opened=opened)
    scale = 1.0 if kind in (TensorProto.FLOAT16, TensorProto.DOUBLE) else 0.001
    output = {"kind": "depth", "tensor": "depth", "scale": scale}
    original = ForeignSource(spec(onnx=str(tmp_path / "typed.onnx"), range_m=(0.01, 8.0), output=output)).open()
    onnx.save(original.trace((64, 48), output="depth_m", dynamic=False), tmp_path / "whole.onnx")
    with open_session(tmp_path / "whole.onnx", "onnxruntime") as session:
        found = session.run({"frame": FRAME[None]})["depth_m"]
    np.testing.assert_allclose(found, original.answer(FRAME), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[0, 0], np.maximum(FRAME.mean(axis=2) / 255, 0.01), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(("opset", "operator", "mode"), [
    (9, "Upsample", "linear"), (9, "Upsample", "nearest"), (10, "Resize", "linear"), (10, "Resize", "nearest"),
])  # fmt: skip
def test_resizes_of_old_opsets_keep_their_places(tmp_path: Path, opset: int, operator: str, mode: str) -> None:
    """Before opset 11 a resize counted from the corners of pixels; from 11 on it is from the middles if nobody says."""
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["small"], strides=[4, 4]),
        helper.make_node(operator, ["small", "scales"], ["depth"], mode=mode),
    ]
    constants = {"weight": np.full((1, 3, 4, 4), 1 / 48, np.float32), "scales": np.array([1, 1, 4, 4], np.float32)}
    graph = helper.make_graph(
        nodes,
        "resized",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 48, 64])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 48, 64])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=5), tmp_path / "x.onnx"
    )
    original = ForeignSource(spec(onnx=str(tmp_path / "x.onnx"), range_m=(0.01, 8.0))).open()
    onnx.save(original.trace((64, 48), output="depth_m", dynamic=False), tmp_path / "whole.onnx")
    with open_session(tmp_path / "whole.onnx", "onnxruntime") as session:
        found = session.run({"frame": FRAME[None]})["depth_m"]
    np.testing.assert_allclose(found, original.answer(FRAME), rtol=1e-4)


def test_files_that_are_no_network(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no")
    for path, message in (
        (tmp_path / "text.onnx", "not a valid ONNX file"),
        (tmp_path / "absent.onnx", "no ONNX file"),
    ):
        with pytest.raises(InputError, match=message):
            ForeignSource(spec(onnx=str(path))).open()
    old_onnx(tmp_path / "old.onnx")
    model = onnx.load(tmp_path / "old.onnx")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node[2].domain = "com.example"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(InputError, match=r"com\.example|not a valid"):
        ForeignSource(spec(onnx=str(tmp_path / "odd.onnx"), output={"kind": "depth", "tensor": 1})).open().trace(
            (64, 48), output="depth_m", dynamic=False
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--module", "a.b:c"], "--module needs --spec"),
        (["default", "--spec", "x.toml"], "goes with --module or an ONNX file"),
        (["absent.onnx"], "absent.toml"),
        (["absent.toml"], "no file at absent.toml"),
    ],
)
def test_command_refuses_with_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
