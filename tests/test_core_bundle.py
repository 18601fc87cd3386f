"""Bundles: what loads, and every way in which one is refused."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgedepth.core import bundle as bundle_module
from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BundleError, InputError
from edgedepth.core.manifest import ROUTER, BundleFile, Manifest, Router
from edgedepth.core.routing import CoarseRule, FixedRule, Route
from tests.bundles import fixed_router, write_bundle


def _edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "bundle.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_round_trip(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b")
    assert loaded.manifest == written.manifest
    assert loaded.digest == written.digest
    assert set(loaded.manifest.networks) == {Route.LOW, Route.HIGH}


def test_a_zip_is_a_bundle(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b")
    for root, name in (("", "flat"), ("inner/", "nested")):
        archive = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(archive, "w") as out:
            for path in bundle.folder.iterdir():
                out.write(path, f"{root}{path.name}")
        assert Bundle.load(archive).digest == bundle.digest


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "b.zip", "w") as out:
        for path in write_bundle(folder / "b").folder.iterdir():
            out.write(path, path.name)
    return folder / "b.zip"


def test_what_a_zip_was_unpacked_to_lives_as_long_as_a_bundle_of_it(tmp_path: Path) -> None:
    bundle = Bundle.load(zipped(tmp_path))
    changed = replace(bundle, manifest=bundle.manifest.model_copy(update={"licence": "none"}))
    folder = bundle.folder
    del bundle
    gc.collect()
    assert changed.path(changed.manifest.files()[0]).is_file()
    del changed
    gc.collect()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_that_ends_leaves_what_a_zip_was_unpacked_to(tmp_path: Path) -> None:
    program = (
        "import os, sys; from edgedepth import Bundle; bundle = Bundle.load(sys.argv[1]); child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0); print(bundle.folder.exists())"
    )
    said = subprocess.run([sys.executable, "-c", program, str(zipped(tmp_path))], capture_output=True, text=True)
    assert said.stdout.strip() == "True", said.stderr


def test_zip_with_a_path_outside_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b")
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in bundle.folder.iterdir():
            out.write(path, path.name)
        out.writestr("../evil.txt", "x")
    with pytest.raises(BundleError, match="leaves the bundle's folder"):
        Bundle.load(archive)


def test_zip_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path)
    with zipfile.ZipFile(archive) as content:
        size = sum(member.file_size for member in content.infolist())
    monkeypatch.setattr(bundle_module, "_ZIP_LIMIT_BYTES", size)
    Bundle.load(archive)
    monkeypatch.setattr(bundle_module, "_ZIP_LIMIT_BYTES", size - 1)
    with pytest.raises(BundleError, match=r"b\.zip unpacks to more than"):
        Bundle.load(archive)


def test_broken_zip(tmp_path: Path) -> None:
    archive = tmp_path / "b.zip"
    archive.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(BundleError, match="not a readable zip"):
        Bundle.load(archive)


def test_damaged_and_odd_zips(tmp_path: Path) -> None:
    archive = zipped(tmp_path)
    whole = archive.read_bytes()
    flagged = bytearray(whole)
    flagged[whole.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    archive.write_bytes(flagged)
    with pytest.raises(BundleError, match="not a readable zip"):
        Bundle.load(archive)
    archive.write_bytes(whole)
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr(f"{'n' * 300}.bin", "x")
    with pytest.raises(BundleError, match="cannot be unpacked"):
        Bundle.load(archive)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema_version=2), "bundle schema 2, but this edgedepth reads 1"),
        (lambda d: d["networks"]["low"]["variants"]["fp32"].update(file="../low.onnx"), "leaves the bundle's folder"),
        (lambda d: d["networks"]["low"]["variants"]["fp32"].update(file="/etc/passwd"), "leaves the bundle's folder"),
        (lambda d: d["networks"]["low"].update(network="x/../../escaped"), "networks.low.network"),
        (lambda d: d["networks"]["low"]["spec"].update(max_m=0.1), "max_m must exceed min_m"),
        (lambda d: d["networks"].pop("low"), "'low', which has no network"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d["router"]["rule"].update(kind="oracle"), "router.rule"),
    ],
)
def test_bad_manifests(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    folder = write_bundle(tmp_path / "b").folder
    _edit(folder, change)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(folder)
    assert "\n" not in str(caught.value)


def test_not_json(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="not a valid bundle manifest"):
        Bundle.load(tmp_path)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json not found; make one with"):
        Bundle.load(tmp_path / "nothing")


def test_a_file_is_no_bundle(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b").folder
    with pytest.raises(BundleError, match=r"is a file; a bundle is a folder with bundle\.json in it, or a \.zip"):
        Bundle.load(folder / "bundle.json")


def test_missing_file(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b").folder
    (folder / "high.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks high\.onnx"):
        Bundle.load(folder)


def test_altered_file(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b").folder
    content = bytearray((folder / "low.onnx").read_bytes())
    content[0] ^= 1
    (folder / "low.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"low\.onnx was altered"):
        Bundle.load(folder)


def test_link_out_of_the_bundle(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b").folder
    shutil.move(folder / "low.onnx", tmp_path / "elsewhere.onnx")
    os.symlink(tmp_path / "elsewhere.onnx", folder / "low.onnx")
    with pytest.raises(BundleError, match="leaves the bundle's folder"):
        Bundle.load(folder)


def test_most_specific_variant_wins(tmp_path: Path) -> None:
    network = write_bundle(tmp_path / "b").manifest.networks[Route.LOW]
    special = BundleFile(file="low.fp32@openvino.onnx", sha256="0" * 64, bytes=1)
    network = network.model_copy(update={"variants": {**network.variants, "fp32@openvino": special}})
    assert network.variant("fp32", "openvino") == special
    assert network.variant("fp32", "onnxruntime").file == "low.onnx"
    with pytest.raises(InputError, match="has no int8 file for openvino; it has: fp32, fp32@openvino"):
        network.variant("int8", "openvino")


def test_a_file_for_one_backend_is_none_of_the_others(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "b").manifest
    networks = {
        route: network.model_copy(
            update={"variants": {**network.variants, "int8@openvino": next(iter(network.variants.values()))}}
        )
        for route, network in manifest.networks.items()
    }
    widened = manifest.model_copy(update={"networks": networks})
    assert widened.precisions("openvino") == ("fp32", "int8")
    assert widened.precisions("onnxruntime") == ("fp32",)


def test_a_router_runs_in_fp32_where_it_has_no_other_file(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "b").manifest
    assert manifest.precision_of("low", "fp16", "tensorrt") == "fp16"
    scene = manifest.router.scene
    assert scene is not None
    assert manifest.precision_of(ROUTER, "fp16", "tensorrt") == "fp32"
    scene = scene.model_copy(update={"variants": {**scene.variants, "fp16": scene.variants["fp32"]}})
    typed = manifest.model_copy(update={"router": manifest.router.model_copy(update={"scene": scene})})
    assert typed.precision_of(ROUTER, "fp16", "tensorrt") == "fp16"
    fixed = manifest.model_copy(update={"router": Router(rule=FixedRule(route=Route.LOW))})
    assert set(fixed.by_role()) == {"low", "high"}


def test_router_and_network_must_fit(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "b").manifest
    with pytest.raises(ValidationError, match="'coarse' router needs"):
        Router(rule=CoarseRule())
    fields = {**manifest.model_dump(), "router": fixed_router(Route.LOW).model_dump()}
    fields["networks"] = {"low": fields["networks"][Route.LOW]}
    assert Manifest.model_validate(fields).networks.keys() == {Route.LOW}
