"""build, trust, cache, inspect and doctor from outside, with engines of TensorRT-RTX."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import save

from edgedepth.cli import build as build_module
from edgedepth.cli import doctor as doctor_module
from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.manifest import Golden
from edgedepth.core.routing import Route
from edgedepth.engines import registry
from edgedepth.engines.machine import Gpu
from edgedepth.engines.session import Availability
from edgedepth.engines.tensorrt import describe as describe_module
from edgedepth.engines.tensorrt import flavour as flavour_module
from edgedepth.engines.tensorrt import plans as plans_module
from edgedepth.engines.tensorrt import probe as probe_module
from tests.bundles import LOW_SPEC
from tests.networks import depth_network, routed_bundle
from tests.older import older_python
from tests.test_cli import call, failure


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "cache"))
    return routed_bundle(tmp_path / "bundle").folder


def test_build_carry_trust_and_cache(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, "build", bundle, "--target", "sm86,sm89,sm120", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert [(engine["role"], engine["built"]) for engine in report["engines"]] == [
        ("low", True),
        ("high", True),
        ("router", True),
    ]
    assert report["engines"][0]["sidecar"]["compute_capabilities"] == ["8.6", "8.9", "12.0"]
    assert len(report["carried"]) == 6
    assert len(Bundle.load(bundle).manifest.plans) == 6

    code, out, err = call(capsys, "build", bundle, "--target", "sm86,sm89,sm120", "--no-build")
    assert (code, out) == (0, "")
    assert "low: depth-test fp32 for 8.6, 8.9, 12.0" in err
    assert "in the cache" in err
    assert "not checked: no device here runs these engines" in err
    assert f"edgedepth trust {bundle}" in err

    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "another"))
    assert "none was built of this file" in failure(capsys, "build", bundle, "--target", "sm86", "--no-build")
    code, out, _ = call(capsys, "trust", bundle, "--json")
    assert (code, len(json.loads(out)["trusted"])) == (0, 3)
    assert call(capsys, "build", bundle, "--target", "sm86", "--no-build", "--no-carry")[0] == 0
    assert call(capsys, "trust", bundle)[2].count("trusted ") == 3

    code, out, _ = call(capsys, "cache", "list", "--json")
    listed = json.loads(out)
    assert len(listed["engines"]) == 3
    assert all(engine["trusted_from"] for engine in listed["engines"])
    assert "depth" not in call(capsys, "cache")[2]
    table = call(capsys, "cache", "list")[1]
    for engine in listed["engines"]:
        assert {engine["network"], engine["flavour"], engine["version"]} <= set(table.split()), "no word is broken"
    assert "removed 3 engines" in call(capsys, "cache", "clear")[2]
    assert json.loads(call(capsys, "cache", "clear", "--json")[1])["removed"] == 0


def test_copy_that_carries_engines_with_a_camera_size(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    code, _, err = call(
        capsys, "build", bundle, "--backend", "tensorrt-rtx", "--target", "sm89", "--size", "vga", "-o", copy
    )
    assert code == 0, err
    assert "from 640x480 for 8.9" in err
    assert not Bundle.load(bundle).manifest.plans
    carried = [entry.file for entry in Bundle.load(copy).manifest.plans]
    assert sum(".640x480." in file for file in carried) == 6
    assert len(carried) == 12
    assert "is not an empty folder" in failure(capsys, "build", bundle, "--target", "sm89", "-o", copy)
    failure(capsys, "build", bundle, "--backend", "tensorrt-rtx", "--target", "sm99", "-o", tmp_path / "corrected")
    assert not (tmp_path / "corrected").exists(), "or the corrected call would be refused"


def test_one_engine_for_many_cameras(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--size", "qvga..vga..hd,99x80+fhd")
    code, out, err = call(capsys, "build", bundle, "--target", "sm89", *sizes, "-o", tmp_path / "copy", "--json")
    assert code == 0, err
    low = [engine["sizes"] for engine in json.loads(out)["engines"] if engine["role"] == "low"]
    assert low == [[], ["320x240..640x480..1280x720"], ["99x80", "1920x1080"]]
    carried = [entry.file for entry in Bundle.load(tmp_path / "copy").manifest.plans]
    assert sum(".320x240-640x480-1280x720." in file for file in carried) == 6
    assert "in the cache" in call(capsys, "build", bundle, "--target", "sm89", *sizes, "--no-build")[2]
    assert "from small to large" in failure(capsys, "build", bundle, "--size", "hd..vga")


def test_engine_of_another_version_is_named_and_built_again(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("build", bundle, "--target", "sm86", "--no-carry")
    program = "import sys; from edgedepth.cli import main; main(sys.argv[1:])"
    subprocess.run([older_python(), "-c", program, *options], check=True, capture_output=True)
    version = flavour_module.load_flavour("tensorrt-rtx").version_text
    assert f"version is 1.4.0.76, here {version}" in failure(capsys, *options, "--no-build")
    assert f"(version is 1.4.0.76, here {version})" in call(capsys, *options)[2]
    assert call(capsys, *options, "--no-build")[0] == 0


def test_default_bundle_for_three_gpus_that_are_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "cache"))
    code, out, err = call(capsys, "build", "default", "--target", "sm86,sm89,sm120", "-o", tmp_path / "copy", "--json")
    assert code == 0, err
    engines = json.loads(out)["engines"]
    assert [engine["role"] for engine in engines] == ["low", "high", "router"]
    for engine in engines:
        assert engine["sidecar"]["compute_capabilities"] == ["8.6", "8.9", "12.0"]
        assert engine["sidecar"]["kernels"] > 0
    assert len(Bundle.load(tmp_path / "copy").manifest.plans) == 6


def test_calls_that_cannot_work_say_why(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sudo apt install tensorrt" in failure(capsys, "build", bundle, "--backend", "tensorrt")
    assert "known: tensorrt, tensorrt-rtx" in failure(capsys, "build", bundle, "--backend", "tflite")
    assert "knows no target sm87" in failure(capsys, "build", bundle, "--target", "sm87")
    assert "has no int8 file for tensorrt-rtx; it has: fp32" in failure(capsys, "build", bundle, "--precision", "int8")
    assert "'bf16'; known: auto, fp32, fp16, int8" in failure(capsys, "build", bundle, "--precision", "bf16")
    assert "WxH" in failure(capsys, "build", bundle, "--size", "huge")
    assert "carries no plans" in failure(capsys, "trust", bundle)
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", bundle)
    assert "name a folder for the result with -o" in failure(capsys, "build", archive, "--target", "sm86")
    monkeypatch.setattr(flavour_module, "installed_flavours", lambda: ())
    assert "no TensorRT is installed to build with" in failure(capsys, "build", bundle)


def test_engines_that_were_built_are_kept_where_they_cannot_be_checked(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans_module, "present_gpu", lambda: Gpu(name="RTX 4090", capability="8.9"))
    monkeypatch.setattr(probe_module, "probe", lambda _: Availability(available=False, why="pycuda is not installed"))
    code, _, err = call(capsys, "build", bundle, "--target", "sm89")
    assert code == 0, err
    assert "not checked: pycuda is not installed" in err


def test_engines_that_do_not_run_here_are_not_run(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, "run", bundle / "absent.mp4", "-b", bundle, "--backend", "tensorrt-rtx")
    assert "absent.mp4" in message
    picture = bundle.parent / "x.png"
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    message = failure(capsys, "run", picture, "-b", bundle, "--backend", "tensorrt-rtx", "--no-build")
    assert "backend tensorrt-rtx is not available" in message


def test_inspect_onnx_and_plan(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call(capsys, "inspect", bundle / "low.onnx", "--json")
    report = json.loads(out)
    assert (code, report["kind"], report["precision"]) == (0, "onnx", "fp32")
    assert report["inputs"] == ["frame: uint8 1x48x64x3"]
    assert report["kernels"]
    assert "layers become" in call(capsys, "inspect", bundle / "low.onnx")[1]
    call(capsys, "build", bundle, "--target", "sm86")
    plan = next((bundle / "plans").glob("low.*.plan"))
    code, out, _ = call(capsys, "inspect", plan, "--json")
    report = json.loads(out)
    assert (code, report["kind"], report["network"]) == (0, "plan", "low.onnx")
    assert "layers need the GPU" in report["note"]
    assert "8.6" in call(capsys, "inspect", plan)[1]
    layers = [
        {"Name": "conv1 + relu1", "LayerType": "CaskConvolution",
         "Inputs": [{"Name": "a", "Dimensions": [1, 3, 4, 4], "Format/Datatype": "Half NHWC8"}],
         "Outputs": [{"Name": "b", "Dimensions": [1, 8, 4, 4], "Datatype": "Float"}]},
        "a layer of a plan without details",
    ]  # fmt: skip
    monkeypatch.setattr(describe_module, "_layers", lambda flavour, plan: layers)
    text = " ".join(call(capsys, "inspect", plan)[1].split())
    for part in ("conv1 + relu1", "CaskConvolution", "Half 1x3x4x4", "Float 1x8x4x4", "a layer of a plan"):
        assert part in text
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(bundle.parent / "another"))
    assert "plans are code: it stays closed" in failure(capsys, "inspect", plan)
    assert "no file at" in failure(capsys, "inspect", bundle / "absent.plan")


def test_doctor_says_why_auto_is_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["auto_why"].startswith("the fastest that works here")
    assert {"driver", "cuda", "gpus", "why", "jetson"} <= set(report["gpu"])
    assert {"opencv", "pyav", "gstreamer"} <= set(report["media"])
    assert "pip install 'edgedepth[tensorrt]'" in report["backends"]["tensorrt"]["why"]
    text = " ".join(call(capsys, "doctor")[1].split())
    assert "auto takes" in text


def test_doctor_names_a_jetson_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = {
        "driver": "540.4", "cuda": "12.6", "gpus": [{"name": "Orin", "capability": "8.7"}], "why": "",
        "jetson": {"model": "AGX Orin", "l4t": "36.4.3", "jetpack": "6.2"},
    }  # fmt: skip
    line = doctor_module._gpu_line(gpu)
    assert line == ("AGX Orin, L4T 36.4.3, JetPack 6.2; Orin (compute capability 8.7); driver 540.4, CUDA 12.6")
    assert doctor_module._gpu_line({**gpu, "jetson": None, "gpus": [], "why": "no driver"}) == "no driver"
    backends = {"a": {}, "b": {}, "c": {}}
    assert doctor_module._auto_why(backends, "a") == "the fastest that works here"
    assert doctor_module._auto_why(backends, "c").endswith("not available: a, b")
    assert doctor_module._auto_why(backends, None) == "no backend works here"


def golden(folder: Path, answers: float) -> Path:
    """The routed bundle, whose low network's fp32 file answers brightness / 25.5 and whose fp16 file something else."""
    routed = routed_bundle(folder)
    save(depth_network(LOW_SPEC.input_wh, answers / 25.5), folder / "low.fp16.onnx")
    cv2.imwrite(str(folder / "low.png"), np.full((48, 64, 3), 100, np.uint8))
    np.save(folder / "low.npy", np.full((48, 64), 100 / 25.5, np.float32))
    frame = Golden(route=Route.LOW, frame=file_entry(folder, "low.png"), depth=file_entry(folder, "low.npy"))
    networks = {}
    for route, file in ((Route.LOW, "low.fp16.onnx"), (Route.HIGH, "high.onnx")):
        entry = routed.manifest.networks[route]
        networks[route] = entry.model_copy(update={"variants": {**entry.variants, "fp16": file_entry(folder, file)}})
    write_manifest(folder, routed.manifest.model_copy(update={"networks": networks, "golden": (frame,)}))
    return folder


def test_doctor_holds_every_precision_of_a_bundle_against_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = golden(tmp_path / "good", 1.001)
    code, out, _ = call(capsys, "doctor", folder, "--backend", "openvino", "--json")
    checks = json.loads(out)["golden"]
    assert code == 0
    assert [(check["role"], check["precision"], check["passed"]) for check in checks] == [
        ("low", "fp32", True), ("router", "fp32", True), ("low", "fp16", True), ("router", "fp32", True)
    ]  # fmt: skip
    assert checks[2]["abs_rel"] == pytest.approx(0.001, rel=0.01)
    assert call(capsys, "doctor", folder, "--backend", "onnxruntime", "--precision", "fp32")[0] == 0


def test_doctor_fails_for_an_engine_that_answers_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = golden(tmp_path / "bad", 1.5)
    code, out, _ = call(capsys, "doctor", folder, "--backend", "onnxruntime")
    assert code == 1
    text = " ".join(out.split())
    assert "low: depth-test fp16 on onnxruntime: abs_rel 0.50000" in text
    assert "failed: abs_rel 0.5000 is above the limit" in text
    assert "depth-test fp32 on onnxruntime: abs_rel 0.00000, delta1 1.00000, 0 non-finite: passed" in text


def test_doctor_goes_on_where_a_precision_does_not_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = golden(tmp_path / "broken", 1.0)
    (folder / "low.fp16.onnx").write_bytes(b"no model")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["networks"]["low"]["variants"]["fp16"] = file_entry(folder, "low.fp16.onnx").model_dump()
    (folder / "bundle.json").write_text(json.dumps(manifest))
    code, out, _ = call(capsys, "doctor", folder, "--backend", "onnxruntime", "--json")
    assert code == 1
    first, router, last = json.loads(out)["golden"]
    assert (first["role"], first["precision"], first["passed"]) == ("low", "fp32", True)
    assert (router["role"], router["passed"]) == ("router", True)
    assert (last["precision"], last["passed"]) == ("fp16", False)
    assert "onnxruntime cannot load" in last["fault"]


def test_doctor_with_a_bundle_that_has_no_golden_frames(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no golden frames" in failure(capsys, "doctor", bundle)


def test_export_builds_where_an_engine_would_run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedepth.engines.tensorrt import bundle as bundle_module

    opened = Bundle.load(bundle)
    assert bundle_module.build_for_this_machine(opened) == []  # there is no GPU
    monkeypatch.setattr(bundle_module, "probe", lambda name: Availability(available=True))
    assert [entry.role for entry in bundle_module.build_for_this_machine(opened)] == ["low", "high", "router"]


def test_precision_is_fp16_on_a_gpu_where_the_bundle_has_it(bundle: Path) -> None:
    from edgedepth.core.bundle import write_manifest
    from edgedepth.engines.choice import chosen_precision

    plain = Bundle.load(bundle)
    networks = {
        route: entry.model_copy(update={"variants": {**entry.variants, "fp16": entry.variants["fp32"]}})
        for route, entry in plain.manifest.networks.items()
    }
    typed = write_manifest(bundle, plain.manifest.model_copy(update={"networks": networks}))
    for backend, precision in (("tensorrt", "fp16"), ("onnxruntime-cuda", "fp16"), ("openvino", "fp32")):
        assert chosen_precision(typed.manifest, "auto", backend) == precision
        assert chosen_precision(plain.manifest, "auto", backend) == "fp32"


def test_both_flavours_are_backends() -> None:
    assert [backend.variant for backend in registry.BACKENDS if backend.folder == "tensorrt"] == list(
        flavour_module.MODULES
    )
    assert build_module.flavour_to_build_with(None).name == "tensorrt-rtx"
