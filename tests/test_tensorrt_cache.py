"""The plan cache, sidecars, carried plans and trust."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.errors import BackendError, BundleError, InputError, OutputError
from edgedepth.core.files import SCRATCH_PREFIX, write_atomic
from edgedepth.core.manifest import Int8Record
from edgedepth.core.routing import Route
from edgedepth.engines.cache import Hit, Miss, PlanCache, cache_folder
from edgedepth.engines.choice import default_precision
from edgedepth.engines.machine import Gpu
from edgedepth.engines.tensorrt import bundle as bundle_module
from edgedepth.engines.tensorrt import plans as plans_module
from edgedepth.engines.tensorrt.bundle import (
    build_bundle,
    carry_plans,
    current_plans,
    trust_bundle,
)
from edgedepth.engines.tensorrt.config import BuildConfig, CameraInput
from edgedepth.engines.tensorrt.flavour import Flavour, flavour_of
from edgedepth.engines.tensorrt.plans import plan_for, request_for
from edgedepth.engines.tensorrt.profiles import SizeRange
from edgedepth.engines.tensorrt.sidecar import PlanRequest, Sidecar, platform_tag
from tests.bundles import write_bundle
from tests.fakes_tensorrt import fake_trt, onnx_text

ORIN = Gpu(name="Orin", capability="8.7", integrated=True)
CONFIG = BuildConfig().as_dict()


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "home")


@pytest.fixture
def flavour() -> Flavour:
    return flavour_of("tensorrt", fake_trt("10.3"))


def sidecar(plan: bytes = b"plan", **changes: Any) -> Sidecar:
    fields: dict[str, Any] = {
        "network": "low.onnx",
        "onnx_sha256": "a" * 64,
        "plan_sha256": hashlib.sha256(plan).hexdigest(),
        "plan_bytes": len(plan),
        "flavour": "tensorrt",
        "version": "10.3.0",
        "platform": platform_tag(),
        "compute_capabilities": ("8.7",),
        "gpu": "Orin",
        "precision": "fp16",
        "config": CONFIG,
        "inputs": ("frame: uint8 1x2x4x3",),
        "outputs": ("depth_m: float32 1x1x2x4",),
    }
    return Sidecar(**{**fields, **changes})


def request(flavour: Flavour, **changes: Any) -> PlanRequest:
    fields: dict[str, Any] = {
        "onnx_sha256": "a" * 64,
        "flavour": flavour,
        "compute_capabilities": ("8.7",),
        "gpu": "Orin",
        "config": CONFIG,
    }
    return PlanRequest(**{**fields, **changes})


def network(folder: Path, name: str = "low.onnx", **changes: Any) -> Path:
    path = folder / name
    path.write_text(onnx_text(**changes))
    return path


# -- sidecars ----------------------------------------------------------------------------------------------


def test_sidecar_goes_to_json_and_back() -> None:
    kept = sidecar(memory_bytes={"weights": 5}, checked="fine")
    assert Sidecar.from_json(kept.to_json(), "here") == kept


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 1}', json.dumps({**sidecar().model_dump(), "schema_version": 2})]
)
def test_text_that_is_no_sidecar_is_refused(text: str) -> None:
    with pytest.raises(BackendError, match=r"x.json is not a plan's sidecar.*edgedepth cache clear"):
        Sidecar.from_json(text, "x.json")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"config": "none"}, "config: Input should be an object"),
        ({"compute_capabilities": "8.7"}, "compute_capabilities: Input should be a valid (tuple|array)"),
        ({"inputs": [1]}, r"inputs\.0: Input should be a valid string"),
        ({"version": 10.3}, "version: Input should be a valid string"),
        ({"plan_bytes": "4"}, "plan_bytes: Input should be a valid integer"),
        ({"network": None}, "network: Input should be a valid string"),
        ({"of_another_version": 1}, "of_another_version: Extra inputs are not permitted"),
    ],
)
def test_sidecar_with_fields_of_other_types_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(BackendError, match=rf"x.json is not a plan's sidecar: {what}"):
        Sidecar.from_json(json.dumps({**sidecar().model_dump(), **changes}), "x.json")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, ""),
        ({"onnx_sha256": "b" * 64}, "onnx_sha256 is bbbbbbbbbbbb, here aaaaaaaaaaaa"),
        ({"flavour": "tensorrt-rtx"}, "flavour is tensorrt-rtx, here tensorrt"),
        ({"version": "10.7.0"}, "version is 10.7.0, here 10.3.0"),
        ({"platform": "linux-riscv64"}, f"platform is linux-riscv64, here {platform_tag()}"),
        ({"compute_capabilities": ("8.6",)}, "compute_capability is 8.6, here 8.7"),
        ({"compute_capabilities": ("8.6", "8.7")}, ""),
        ({"gpu": "Orin Nano"}, "gpu is Orin Nano, here Orin"),
        ({"config": {**CONFIG, "hardware": "ampere+"}, "compute_capabilities": ("8.6",), "gpu": "RTX 3090"}, ""),
        ({"config": {**CONFIG, "hardware": "same-capability"}, "gpu": "Orin Nano"}, ""),
        ({"config": {**CONFIG, "version_compatible": True}, "version": "10.1.0"}, ""),
        ({"config": {**CONFIG, "version_compatible": True}, "version": "10.4.0"}, "version is 10.4.0, here 10.3.0"),
        ({"config": {**CONFIG, "workspace_mib": 64}}, "config.workspace_mib is 64, here None"),
    ],
)
def test_each_field_that_differs_is_named(flavour: Flavour, changes: dict[str, Any], difference: str) -> None:
    strict = request(flavour)
    loose = dataclasses.replace(strict, strict=False)
    wanted = [difference] if difference else []
    tuned_only = set(changes) == {"config"}
    assert loose.differences(sidecar(**changes)) == ([] if tuned_only else wanted)
    if "config" not in changes or tuned_only:
        assert strict.differences(sidecar(**changes)) == wanted


def test_sidecar_that_does_not_say_for_which_hardware_is_of_one_model(flavour: Flavour) -> None:
    foreign = sidecar(gpu="Orin Nano", config={"camera": None})
    assert request(flavour, strict=False).differences(foreign) == ["gpu is Orin Nano, here Orin"]


def test_camera_size_always_counts(flavour: Flavour) -> None:
    camera = {"frame_wh": [640, 480], "resize": "pad"}
    loose = request(flavour, strict=False)
    assert loose.differences(sidecar(config={**CONFIG, "camera": camera})) == [f"config.camera is {camera}, here None"]


def camera_config(*sizes: str, resize: Any = "letterbox") -> dict[str, Any]:
    ranges = tuple(map(SizeRange.parse, sizes))
    return BuildConfig(camera=CameraInput(sizes=ranges, resize=resize)).as_dict()


@pytest.mark.parametrize(
    ("has", "wants", "serves"),
    [
        (("vga..fhd",), ("hd",), True),
        (("vga..fhd",), ("640x480",), True),
        (("vga..fhd",), ("qvga",), False),
        (("qvga", "hd..fhd"), ("qvga",), True),
        (("qvga", "hd..fhd"), ("vga",), False),
        (("hd",), ("hd",), True),
        (("hd",), ("fhd",), False),
    ],
)
def test_engine_for_several_camera_sizes_serves_each(
    flavour: Flavour, has: tuple[str, ...], wants: tuple[str, ...], serves: bool
) -> None:
    wanted = request(flavour, strict=False, config=camera_config(*wants))
    assert (wanted.differences(sidecar(config=camera_config(*has))) == []) is serves
    assert wanted.differences(sidecar(config=camera_config(*has, resize="stretch"))) != []
    exactly = dataclasses.replace(wanted, strict=True)
    assert (exactly.differences(sidecar(config=camera_config(*has))) == []) is (has == wants)


@pytest.mark.parametrize("strict", [True, False])
def test_an_engine_whose_resize_is_of_an_earlier_version_is_built_anew(flavour: Flavour, strict: bool) -> None:
    wanted = request(flavour, strict=strict, config=camera_config("hd"))
    before = camera_config("hd")
    before["camera"]["revision"] -= 1
    told = "config.camera is 1280x720 of another edgedepth, here 1280x720"
    assert wanted.differences(sidecar(config=before)) == [told]
    assert dataclasses.replace(wanted, config=before).key != wanted.key


@pytest.mark.parametrize("camera", [None, "all", {"resize": "letterbox"}, {"resize": "letterbox", "sizes": [{"a": 1}]}])
def test_camera_that_is_not_as_we_write_it_serves_nothing(flavour: Flavour, camera: Any) -> None:
    wanted = request(flavour, strict=False, config=camera_config("hd"))
    assert wanted.differences(sidecar(config={**CONFIG, "camera": camera}))[0].startswith("config.camera is")


def test_engine_made_for_the_size_goes_before_one_for_many(cache: PlanCache, flavour: Flavour) -> None:
    cache.put("one", b"plan", sidecar(config=camera_config("hd")))
    cache.put("many", b"many", sidecar(b"many", config=camera_config("vga..fhd")))
    os.utime(cache.folder / "one.plan", (1, 1))
    found = cache.find(request(flavour, strict=False, config=camera_config("hd")))
    assert isinstance(found, Hit)
    assert found.key == "one"


def test_key_depends_on_everything_that_decides_the_plan(flavour: Flavour) -> None:
    base = request(flavour)
    others = [
        request(flavour, onnx_sha256="b" * 64),
        request(flavour_of("tensorrt", fake_trt("10.16"))),
        request(flavour, compute_capabilities=("8.6",)),
        request(flavour, gpu="Orin Nano"),
        request(flavour, config={**CONFIG, "workspace_mib": 1}),
    ]
    assert len({base.key, *(other.key for other in others)}) == 6
    assert request(flavour).key == base.key


# -- the cache ---------------------------------------------------------------------------------------------


def test_plan_is_found_again_and_a_difference_is_told(cache: PlanCache, flavour: Flavour) -> None:
    assert cache.find(request(flavour)) == Miss(why="none was built of this file")
    cache.put("k", b"plan", sidecar())
    assert cache.find(request(flavour)) == Hit(key="k", plan=b"plan", sidecar=sidecar())
    assert cache.find(request(flavour, gpu="Orin Nano")) == Miss(why="gpu is Orin, here Orin Nano")
    assert cache.find(request(flavour, onnx_sha256="c" * 64)) == Miss(why="none was built of this file")


@pytest.mark.parametrize("harm", [b"pla", b"plan and more", b"Plan"])
def test_altered_plan_is_never_returned(cache: PlanCache, flavour: Flavour, harm: bytes) -> None:
    cache.put("k", b"plan", sidecar())
    (cache.folder / "k.plan").write_bytes(harm)
    assert cache.find(request(flavour)) == Miss(why="plan_sha256 differs from the file's (damaged or altered)")


def test_plan_without_a_sidecar_or_with_a_foreign_one_counts_for_nothing(cache: PlanCache, flavour: Flavour) -> None:
    (cache.folder / "k.plan").write_bytes(b"plan")
    assert cache.entries() == []
    with pytest.raises(BackendError, match="sidecar is of another plan"):
        cache.put("k", b"another plan", sidecar())
    (cache.folder / "k.json").write_text("{}")
    assert cache.entries() == []
    cache.put("k", b"plan", sidecar())
    (cache.folder / "k.json").chmod(0o666)
    assert isinstance(cache.find(request(flavour)), Miss)


def test_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    PlanCache(tmp_path)
    (tmp_path / "plans").chmod(0o777)
    with pytest.raises(BackendError, match=r"can be written by others, and plans are code; run: chmod -R go-w"):
        PlanCache(tmp_path)


def test_rejected_engine_is_not_run_again(cache: PlanCache, flavour: Flavour) -> None:
    cache.put("k", b"plan", sidecar())
    cache.note("k", sidecar(), checked="low: fine")
    assert cache.entries()[0].sidecar.checked == "low: fine"
    cache.note("k", sidecar(), rejected="3 pixels are not finite")
    with pytest.raises(BackendError, match=r"tensorrt engine of low.onnx was rejected .*3 pixels are not finite"):
        cache.find(request(flavour))
    again = cache.find(request(flavour), again=True)
    assert isinstance(again, Miss)
    assert again.why == "the one there was rejected by its golden check: 3 pixels are not finite"


def test_what_is_found_of_a_plan_says_nothing_of_the_one_that_has_replaced_it(cache: PlanCache) -> None:
    cache.put("k", b"plan", sidecar())
    cache.put("k", b"another", sidecar(b"another"))
    cache.note("k", sidecar(), checked="low: fine")
    assert cache.entries()[0].sidecar.checked == ""


def test_rejected_engine_does_not_stand_before_another_that_fits(cache: PlanCache, flavour: Flavour) -> None:
    cache.put("old", b"plan", sidecar())
    os.utime(cache.folder / "old.plan", (1, 1))
    cache.put("new", b"tuned", sidecar(b"tuned", config={**CONFIG, "workspace_mib": 1}))
    cache.note("new", sidecar(b"tuned"), rejected="3 pixels are not finite")
    assert isinstance(cache.find(request(flavour)), Hit)
    found = cache.find(request(flavour, strict=False))
    assert isinstance(found, Hit)
    assert found.key == "old"


def test_plan_that_vanishes_between_list_and_read_is_a_miss(
    cache: PlanCache, flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("k", b"plan", sidecar())
    entries = cache.entries()
    cache.clear()
    monkeypatch.setattr(cache, "entries", lambda: entries)
    assert cache.find(request(flavour)) == Miss(why="its plan cannot be read (No such file or directory)")
    cache.note("k", sidecar(), checked="fine")  # nobody is left to be told
    assert list(cache.folder.glob("*.plan")) == []
    assert list(cache.folder.glob("*.json")) == []


def test_plan_that_others_may_write_to_is_refused(cache: PlanCache, flavour: Flavour) -> None:
    cache.put("k", b"plan", sidecar())
    (cache.folder / "k.plan").chmod(0o666)
    with pytest.raises(BackendError, match=r"k\.plan can be written by others"):
        cache.find(request(flavour))


def test_what_a_crash_left_goes_with_the_next_plan(cache: PlanCache) -> None:
    (cache.folder / f"{'0d' * 16}.plan").write_bytes(b"half")
    cache.put("k", b"plan", sidecar())
    assert [path.name for path in cache.folder.glob("*.plan")] == ["k.plan"]


def test_halves_that_a_killed_process_was_writing_go(cache: PlanCache, tmp_path: Path) -> None:
    halves = [cache.folder / f"{SCRATCH_PREFIX}x1y2{suffix}" for suffix in (".plan", ".json")]
    for half in halves:
        half.write_bytes(b"half")
    cache.put("k", b"plan", sidecar())
    assert not any(half.exists() for half in halves)
    halves[0].write_bytes(b"half")
    assert cache.clear() == 1
    assert not halves[0].exists()


def test_what_others_keep_in_the_folder_stays(cache: PlanCache, flavour: Flavour) -> None:
    foreign = {cache.folder / name for name in ("mission.json", "route.plan", "race.timing", "notes.txt")}
    for path in foreign:
        path.write_text("mine")
    key = request(flavour).key
    cache.put(key, b"plan", sidecar())
    times = cache.timing_cache(f"{flavour.name}-{flavour.version_text}-8.7")
    times.write_bytes(b"times")
    assert cache.clear() == 1
    assert {path for path in cache.folder.iterdir() if path.suffix != ".lock"} == foreign
    assert all(path.read_text() == "mine" for path in foreign)


def test_folder_that_is_only_read_serves_its_plans(
    cache: PlanCache, flavour: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = network(tmp_path)
    kept = plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)

    def refuse(*arguments: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "open", refuse)  # what locks are made with
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache, build=False).plan == kept.plan
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache).why_built == ""


def test_two_threads_that_want_the_same_engine_build_it_once(
    cache: PlanCache, flavour: Flavour, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    onnx = network(tmp_path)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(phase: str, share: float) -> None:
        begun.set()
        assert go_on.wait(10)

    plans = []

    def want(report: Any) -> None:
        plans.append(plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache, report=report))

    first = threading.Thread(target=want, args=(slowly,))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=want, args=(lambda phase, share: None,))
    second.start()
    while "waiting for it" not in caplog.text:
        assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert sorted(plan.why_built for plan in plans) == ["", "none was built of this file"]


def test_network_that_changes_while_it_is_built_is_not_kept(
    cache: PlanCache, flavour: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = network(tmp_path)
    real = plans_module.engine_from_onnx

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        network(tmp_path, nan=True)
        return real(*arguments, **options)

    monkeypatch.setattr(plans_module, "engine_from_onnx", meanwhile)
    with pytest.raises(BackendError, match="was changed while its engine was built"):
        plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    assert cache.entries() == []


def test_the_longest_unused_goes_first_and_never_the_new_one(tmp_path: Path, flavour: Flavour) -> None:
    cache = PlanCache(tmp_path, limit_mib=1)
    plan = bytes(400 << 10)
    for number in range(4):
        name = f"k{number}"
        cache.put(name, plan, sidecar(plan, onnx_sha256=str(number) * 64))
        os.utime(cache.folder / f"{name}.plan", (number, number))
        if number == 1:  # k0 is used again, so that k1 is the one to go
            assert isinstance(cache.find(request(flavour, onnx_sha256="0" * 64)), Hit)
            assert (cache.folder / "k0.plan").stat().st_mtime > 1000
    assert {entry.key for entry in cache.entries()} == {"k0", "k3"}
    huge = bytes(2 << 20)
    cache.put("huge", huge, sidecar(huge))
    assert [entry.key for entry in cache.entries()] == ["huge"]
    assert cache.clear() == 1
    assert cache.entries() == []
    assert not list(cache.folder.glob("*.plan"))


def test_where_the_cache_is_and_how_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEDEPTH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgedepth"
    monkeypatch.setenv("EDGEDEPTH_CACHE", "")  # as a variable that is passed on without a value
    assert cache_folder() == tmp_path / "edgedepth"
    monkeypatch.setenv("EDGEDEPTH_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("EDGEDEPTH_CACHE_MIB", "7")
    cache = PlanCache()
    assert (cache.folder, cache.limit_bytes) == (tmp_path / "other" / "plans", 7 << 20)
    for wrong in ("much", "\N{SUPERSCRIPT TWO}"):
        monkeypatch.setenv("EDGEDEPTH_CACHE_MIB", wrong)
        with pytest.raises(BackendError, match=f"EDGEDEPTH_CACHE_MIB is a number of MiB, but got '{wrong}'"):
            PlanCache()


def test_lock_holds_off_whoever_opens_it_next(cache: PlanCache) -> None:
    # the lock belongs to the opened file, so that a thread meets it as another process would
    entered = threading.Event()

    def second() -> None:
        with PlanCache(cache.folder.parent).lock("k"):
            entered.set()

    with cache.lock("k"):
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()


# -- finding or building ---------------------------------------------------------------------------------------


def test_built_once_then_found_and_rebuilt_when_something_differs(
    cache: PlanCache, flavour: Flavour, tmp_path: Path
) -> None:
    onnx = network(tmp_path)
    first = plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    assert first.why_built == "none was built of this file"
    again = plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    assert (again.why_built, again.plan, again.key) == ("", first.plan, first.key)
    newer = flavour_of("tensorrt", fake_trt("10.16"))
    with pytest.raises(BackendError, match=r"no tensorrt engine .*: version is 10.3.0, here 10.16.0; build it with"):
        plan_for(onnx, BuildConfig(), newer, gpu=ORIN, cache=cache, build=False)
    assert plan_for(onnx, BuildConfig(), newer, gpu=ORIN, cache=cache).why_built == "version is 10.3.0, here 10.16.0"
    (cache.folder / f"{first.key}.plan").write_bytes(b"altered")
    assert "plan_sha256 differs" in plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache).why_built
    network(tmp_path, nan=True)
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache).why_built == "none was built of this file"


def test_rejected_engine_is_built_again_when_asked(cache: PlanCache, flavour: Flavour, tmp_path: Path) -> None:
    onnx = network(tmp_path)
    first = plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    cache.note(first.key, first.sidecar, rejected="3 pixels are not finite")
    with pytest.raises(BackendError, match=r"was rejected .* or build it again: edgedepth build"):
        plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    assert (
        "rejected by its golden check"
        in plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache, again=True).why_built
    )
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache).why_built == ""  # not yet checked


def test_tuned_plan_serves_whoever_does_not_ask_for_its_tuning(
    cache: PlanCache, flavour: Flavour, tmp_path: Path
) -> None:
    onnx = network(tmp_path)
    tuned = plan_for(onnx, BuildConfig(workspace_mib=64, optimization_level=5), flavour, gpu=ORIN, cache=cache)
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache, strict=False, build=False).key == tuned.key
    assert plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache).why_built.startswith(
        "config.workspace_mib is 64"
    )


def test_missing_network(cache: PlanCache, flavour: Flavour, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no ONNX file at .*absent.onnx"):
        request_for(tmp_path / "absent.onnx", BuildConfig(), flavour, ORIN)


def test_gpu_of_this_machine_is_the_drivers_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedepth.engines.machine import Driver

    monkeypatch.setattr(plans_module, "driver", lambda: Driver(gpus=(ORIN, Gpu(name="b", capability="8.6"))))
    assert plans_module.present_gpu() == ORIN
    monkeypatch.setattr(plans_module, "driver", lambda: Driver(why="none"))
    assert plans_module.present_gpu() is None


# -- bundles ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    files = {f"{name}.onnx": onnx_text(network=name).encode() for name in ("low", "high", "scene")}
    return write_bundle(tmp_path / "bundle", files)


def test_bundle_is_built_with_its_router_and_only_where_missing(
    bundle: Bundle, cache: PlanCache, flavour: Flavour
) -> None:
    told = []
    built = build_bundle(
        bundle, flavour, gpu=ORIN, cache=cache, report=lambda name, phase, share: told.append((name, share))
    )
    assert [(entry.role, entry.precision, bool(entry.plan.why_built)) for entry in built] == [
        ("low", "fp32", True),
        ("high", "fp32", True),
        ("router", "fp32", True),
    ]
    assert [name for name, share in told if share == 1.0][::2] == ["low.onnx", "high.onnx", "scene.onnx"]
    assert not any(entry.plan.why_built for entry in build_bundle(bundle, flavour, gpu=ORIN, cache=cache, build=False))
    with pytest.raises(InputError, match=r"has no int8 file for tensorrt; it has: fp32$"):
        build_bundle(bundle, flavour, precision="int8", gpu=ORIN, cache=cache)
    low = bundle.manifest.networks[Route.LOW]
    of_another = low.model_copy(update={"variants": {**low.variants, "int8@openvino": low.variants["fp32"]}})
    networks = {**bundle.manifest.networks, Route.LOW: of_another}
    widened = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"networks": networks}))
    with pytest.raises(InputError, match=r"has no int8 file for tensorrt; it has: fp32, int8@openvino$"):
        build_bundle(widened, flavour, precision="int8", gpu=ORIN, cache=cache)


def test_precision_is_fp16_where_the_depth_networks_have_it(bundle: Bundle, cache: PlanCache, flavour: Flavour) -> None:
    assert default_precision(bundle.manifest, "tensorrt") == "fp32"
    networks = {}
    for route, entry in bundle.manifest.networks.items():
        (bundle.folder / f"{route}.fp16.onnx").write_text(onnx_text(network=f"{route} half"))
        (bundle.folder / f"{route}.rtx.onnx").write_text(onnx_text(network=f"{route} half for rtx"))
        variants = {
            **entry.variants,
            "fp16": file_entry(bundle.folder, f"{route}.fp16.onnx"),
            "fp16@tensorrt": file_entry(bundle.folder, f"{route}.rtx.onnx"),
        }
        networks[route] = entry.model_copy(update={"variants": variants})
    typed = write_manifest(bundle.folder, bundle.manifest.model_copy(update={"networks": networks}))
    assert default_precision(typed.manifest, "tensorrt") == "fp16"
    built = build_bundle(typed, flavour, gpu=ORIN, cache=cache)
    assert [(entry.precision, entry.plan.sidecar.network) for entry in built] == [
        ("fp16", "low.rtx.onnx"),
        ("fp16", "high.rtx.onnx"),
        ("fp32", "scene.onnx"),
    ]


def test_carried_plans_run_only_after_trust(bundle: Bundle, cache: PlanCache, flavour: Flavour, tmp_path: Path) -> None:
    carrying = carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    assert [entry.file for entry in carrying.manifest.plans][:2] == [
        "plans/low.depth-test.fp32.tensorrt-10.3.0.sm87.Orin.plan",
        "plans/low.depth-test.fp32.tensorrt-10.3.0.sm87.Orin.json",
    ]
    elsewhere = PlanCache(tmp_path / "elsewhere")
    with pytest.raises(BackendError, match="none was built of this file"):
        build_bundle(carrying, flavour, gpu=ORIN, cache=elsewhere, build=False)
    taken = trust_bundle(carrying, elsewhere)
    assert {entry.trusted_from for entry in taken} == {carrying.digest}
    assert len(build_bundle(carrying, flavour, gpu=ORIN, cache=elsewhere, build=False)) == 3
    trust_bundle(carrying, elsewhere)
    assert len(elsewhere.entries()) == 3
    assert carry_plans(carrying, build_bundle(carrying, flavour, gpu=ORIN, cache=cache)).manifest == carrying.manifest


def test_plans_for_two_models_of_gpu_are_carried_side_by_side(
    bundle: Bundle, cache: PlanCache, flavour: Flavour
) -> None:
    """Each runs on its own model only, although they have the same compute capability."""
    cards = ["NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 3090"]
    for name in cards:
        built = build_bundle(bundle, flavour, gpu=Gpu(name=name, capability="8.6"), cache=cache)
        bundle = carry_plans(bundle, built)
    accounts = [bundle.path(entry).read_text() for entry in bundle.manifest.plans if entry.file.endswith(".json")]
    assert sorted(json.loads(text)["gpu"] for text in accounts) == sorted(cards * 3)
    assert bundle.manifest.plans[0].file.endswith(".sm86.NVIDIA-GeForce-RTX-3060.plan")


def test_plans_that_are_only_half_replaced_leave_a_bundle(
    bundle: Bundle, cache: PlanCache, flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    carrying = Bundle.load(bundle.folder)
    again = [
        dataclasses.replace(entry, plan=dataclasses.replace(entry.plan, plan=entry.plan.plan + b" "))
        for entry in build_bundle(carrying, flavour, gpu=ORIN, cache=cache)
    ]
    written: list[str] = []

    def killed(path: Path, data: bytes | str) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path.name)
        write_atomic(path, data)

    monkeypatch.setattr(bundle_module, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        carry_plans(carrying, again)
    assert Bundle.load(bundle.folder).manifest.plans == ()


def test_trust_refuses_what_does_not_belong_together(bundle: Bundle, cache: PlanCache, flavour: Flavour) -> None:
    with pytest.raises(BundleError, match="carries no plans; build them with"):
        trust_bundle(bundle, cache)
    carrying = carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    cache.clear()
    plan, sidecar_file = (carrying.folder / entry.file for entry in carrying.manifest.plans[:2])
    original, account = plan.read_bytes(), sidecar_file.read_text()

    def relist(**changes: Any) -> Bundle:
        entries = tuple(file_entry(carrying.folder, entry.file) for entry in carrying.manifest.plans)
        return write_manifest(carrying.folder, carrying.manifest.model_copy(update={"plans": entries, **changes}))

    plan.write_bytes(original + b" ")
    with pytest.raises(BundleError, match="was altered"):
        Bundle.load(carrying.folder)
    with pytest.raises(BundleError, match=r"plan_sha256 differs\); do not trust it"):
        trust_bundle(relist(), cache)
    plan.write_bytes(original)
    sidecar_file.write_text(account.replace(Sidecar.from_json(account, "").onnx_sha256, "f" * 64))
    with pytest.raises(BundleError, match="of a network that the bundle does not hold"):
        trust_bundle(relist(), cache)
    sidecar_file.write_text(account)
    only_plan = (carrying.manifest.plans[0],)
    with pytest.raises(BundleError, match="has no sidecar in bundle"):
        trust_bundle(relist(plans=only_plan), cache)
    assert cache.entries() == []


def test_plans_of_files_that_are_gone_are_left_out(bundle: Bundle, cache: PlanCache, flavour: Flavour) -> None:
    """After a calibration in place the old INT8 plans are of files that the bundle holds no more."""
    carrying = carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    low = carrying.manifest.networks[Route.LOW]
    (carrying.folder / "low.onnx").write_text(onnx_text(network="low, made again"))
    networks = {
        **carrying.manifest.networks,
        Route.LOW: low.model_copy(update={"variants": {"fp32": file_entry(carrying.folder, "low.onnx")}}),
    }
    changed = write_manifest(carrying.folder, carrying.manifest.model_copy(update={"networks": networks}))
    with pytest.raises(BundleError, match="of a network that the bundle does not hold"):
        trust_bundle(changed, cache)
    again = carry_plans(changed, [])
    assert (
        sorted(entry.file.split(".")[0] for entry in again.manifest.plans) == ["plans/high"] * 2 + ["plans/router"] * 2
    )
    assert len(trust_bundle(again, cache)) == 2


def test_plans_with_sidecars_of_another_version_are_left_out(
    bundle: Bundle, cache: PlanCache, flavour: Flavour
) -> None:
    carrying = carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    file = carrying.manifest.plans[1].file
    (carrying.folder / file).write_bytes(b'{"schema": 99, "of": "\xff"}')
    entries = tuple(file_entry(carrying.folder, entry.file) for entry in carrying.manifest.plans)
    changed = write_manifest(carrying.folder, carrying.manifest.model_copy(update={"plans": entries}))
    with pytest.raises(BundleError, match=r"low\..*\.json is no sidecar of this version; build its plan again"):
        trust_bundle(changed, cache)
    assert len(current_plans(changed, changed.manifest)) == len(entries) - 2


def test_int8_is_built_where_it_will_be_run(bundle: Bundle) -> None:
    assert default_precision(bundle.manifest, "tensorrt") == "fp32"
    record = Int8Record(
        ranges=next(iter(bundle.manifest.networks.values())).variants["fp32"], source="x", frames=32, recipe="minmax",
        int8_macs=1.0, truth="fp32", check_frames=8, abs_rel=(0.1, 0.1), delta1=(0.9, 0.9),
        within_budget=True, speedup=1.5, device="Orin", accepted=True, why="",
    )  # fmt: skip
    networks = {
        route: entry.model_copy(update={
            "variants": {**entry.variants, "int8@tensorrt": entry.variants["fp32"]}, "int8": {"int8@tensorrt": record},
        })
        for route, entry in bundle.manifest.networks.items()
    }  # fmt: skip
    calibrated = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"networks": networks}))
    assert default_precision(calibrated.manifest, "tensorrt") == "int8"
    assert default_precision(calibrated.manifest, "onnxruntime-cuda") == "fp32"


def test_folder_of_another_user_is_refused_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PlanCache(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BackendError, match=r"belongs to another user, .* run: sudo chown -R \$USER .*EDGEDEPTH_CACHE"):
        PlanCache(tmp_path)


def test_folder_that_cannot_be_written_names_the_variable(
    cache: PlanCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command has an option for it."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match=r"cannot write the cache of engines in .*: no permission; set EDGEDEPTH_CA"):
        cache.put("k", b"plan", sidecar())
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="set EDGEDEPTH_CACHE to a folder of yours"):
        PlanCache(tmp_path / "new")


def test_trust_mends_what_is_damaged_and_tells_what_was_rejected(
    bundle: Bundle, cache: PlanCache, flavour: Flavour, tmp_path: Path
) -> None:
    carrying = carry_plans(bundle, build_bundle(bundle, flavour, gpu=ORIN, cache=cache))
    elsewhere = PlanCache(tmp_path / "elsewhere")
    trust_bundle(carrying, elsewhere)
    first = elsewhere.entries()[0]
    (elsewhere.folder / f"{first.key}.plan").write_bytes(b"damaged")
    assert isinstance(elsewhere.read(first), Miss)
    trust_bundle(carrying, elsewhere)
    assert isinstance(elsewhere.read(elsewhere.entries()[0]), Hit)
    elsewhere.note(first.key, first.sidecar, checked="low: wrong", rejected="48 pixels are not finite")
    with pytest.raises(BundleError, match=r"was rejected by its golden check on this machine; build it again"):
        trust_bundle(carrying, elsewhere)


def test_a_camera_size_that_is_missing_is_told_with_the_option_that_builds_it(
    cache: PlanCache, flavour: Flavour, tmp_path: Path
) -> None:
    onnx = network(tmp_path)
    plan_for(onnx, BuildConfig(), flavour, gpu=ORIN, cache=cache)
    camera = CameraInput(sizes=(SizeRange.parse("vga"), SizeRange.parse("hd..fhd")), resize="letterbox")
    with pytest.raises(
        BackendError, match=r"camera is None, here 640x480\+1280x720\.\.1920x1080; .*edgedepth build BUNDLE --size WxH"
    ):
        plan_for(onnx, BuildConfig(camera=camera), flavour, gpu=ORIN, cache=cache, build=False)
