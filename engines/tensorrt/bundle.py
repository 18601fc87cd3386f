"""Engines of a whole bundle: building what is missing, carrying plans inside a bundle, and trusting carried ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgedepth.core.bundle import Bundle, file_entry, write_manifest
from edgedepth.core.errors import BackendError, BundleError, UnknownNameError
from edgedepth.core.files import write_atomic
from edgedepth.core.manifest import FILE_PRECISIONS, BundleFile, Manifest
from edgedepth.engines.cache import Entry, Hit, PlanCache
from edgedepth.engines.choice import chosen_precision
from edgedepth.engines.machine import Gpu
from edgedepth.engines.tensorrt.config import BuildConfig, CameraInput
from edgedepth.engines.tensorrt.flavour import Flavour, installed_flavours, load_flavour
from edgedepth.engines.tensorrt.plans import Plan, plan_for, present_gpu
from edgedepth.engines.tensorrt.probe import probe
from edgedepth.engines.tensorrt.profiles import SizeRange
from edgedepth.engines.tensorrt.sidecar import Sidecar

PLAN_FOLDER = "plans"

# told which network is being built, in which phase, and the finished share of it
BundleReport = Callable[[str, str, float], object]


@dataclass(frozen=True, kw_only=True)
class BuiltPlan:
    """An engine of a bundle's network; `sizes` are the camera sizes it resizes from, empty without a resize."""

    role: str
    network: str
    precision: str
    sizes: tuple[SizeRange, ...]
    plan: Plan

    @property
    def sizes_text(self) -> str:
        """The camera sizes in words: "640x480+1280x720..1920x1080"."""
        return "+".join(map(str, self.sizes))


def build_bundle(
    bundle: Bundle,
    flavour: Flavour,
    *,
    precision: str = "auto",
    config: BuildConfig | None = None,
    cameras: Sequence[tuple[SizeRange, ...]] = (),
    gpu: Gpu | None = None,
    cache: PlanCache | None = None,
    build: bool = True,
    again: bool = False,
    report: BundleReport | None = None,
) -> list[BuiltPlan]:
    """Build what is missing of a bundle's engines; the router's too, in fp32 where it has no other.

    precision: a precision of the bundle's files, or "auto" (see `choice.default_precision`).
    cameras: camera sizes; for each entry an engine that resizes on the GPU is built, besides the one that does not.
    build: False refuses instead of building.
    again: build those anew that were rejected by their golden check.

    Raises:
        UnknownNameError: no engine is built in that precision.
        InputError: the bundle has no file of it.
        BackendError: an engine cannot be built; the message quotes TensorRT.
    """
    settings = BuildConfig() if config is None else config
    if precision not in ("auto", *FILE_PRECISIONS):  # bf16 is none that is built
        raise UnknownNameError.of("precision of an engine", precision, ("auto", *FILE_PRECISIONS))
    wanted = chosen_precision(bundle.manifest, precision, flavour.name)
    store = PlanCache() if cache is None else cache
    built = []
    for role, network in bundle.manifest.by_role().items():
        chosen = bundle.manifest.precision_of(role, wanted, flavour.name)
        onnx = bundle.path(network.variant(chosen, flavour.name))
        for sizes in ((), *cameras):
            camera = CameraInput(sizes=sizes, resize=network.resize) if sizes else None
            plan = plan_for(
                onnx,
                dataclasses.replace(settings, camera=camera),
                flavour,
                gpu=gpu,
                cache=store,
                build=build,
                again=again,
                report=None if report is None else _labelled(report, onnx.name),
            )
            built.append(BuiltPlan(role=role, network=network.network, precision=chosen, sizes=sizes, plan=plan))
    return built


def build_for_this_machine(bundle: Bundle, *, report: BundleReport | None = None) -> list[BuiltPlan]:
    """Build a bundle's engines with the flavour that runs here; nothing where there is no GPU or no TensorRT.

    What `edgedepth export` does at its end, so that the first `run` need not.

    Raises:
        BackendError: an engine cannot be built.
    """
    for name in installed_flavours():
        if probe(name).available:
            return build_bundle(bundle, load_flavour(name), gpu=present_gpu(), report=report)
    return []


def carry_plans(bundle: Bundle, plans: Sequence[BuiltPlan]) -> Bundle:
    """Put plans into a bundle's folder, each with its sidecar, and list both by sha256 in its manifest.

    A plan of the same name, which says network, precision, size, library and what GPUs it is for, is replaced; those of
    files that the bundle holds no more are left out. Whenever it is killed, a bundle lies there: one that is being
    replaced is not listed.

    Raises:
        OutputError: the folder cannot be written.
    """
    contents: dict[str, bytes | str] = {}
    for built in plans:
        name = f"{PLAN_FOLDER}/{_plan_name(built)}"
        contents |= {f"{name}.plan": built.plan.plan, f"{name}.json": built.plan.sidecar.to_json()}
    current = current_plans(bundle, bundle.manifest)
    kept = {entry.file: entry for entry in current if entry.file not in contents}
    if len(kept) < len(current):
        write_manifest(bundle.folder, bundle.manifest.model_copy(update={"plans": tuple(kept.values())}))
    for file, content in contents.items():
        write_atomic(bundle.folder / file, content)
    plans_now = (*kept.values(), *(file_entry(bundle.folder, file) for file in contents))
    return write_manifest(bundle.folder, bundle.manifest.model_copy(update={"plans": plans_now}))


def current_plans(bundle: Bundle, manifest: Manifest) -> tuple[BundleFile, ...]:
    """The plans of a bundle with sidecars that describe them, and those, whose networks' files a manifest lists."""
    known = {entry.sha256 for entry in manifest.files()}
    listed = {entry.file: entry for entry in bundle.manifest.plans}
    kept: list[BundleFile] = []
    for file, entry in listed.items():
        if not file.endswith(".plan"):
            continue
        try:
            sidecar = _carried_sidecar(bundle, listed, file)
        except BundleError:  # nobody could trust it
            continue
        if sidecar.onnx_sha256 in known:
            kept += [entry, listed[file.removesuffix(".plan") + ".json"]]
    return tuple(kept)


def trust_bundle(bundle: Bundle, cache: PlanCache | None = None) -> list[Sidecar]:
    """Take over a bundle's plans: they are code, and run on this machine from now on.

    Every plan must be the one its sidecar describes, and both the ones that the manifest lists.

    Raises:
        BundleError: the bundle carries none, or one of them is not what its sidecar says or was rejected here before.
    """
    store = PlanCache() if cache is None else cache
    listed = {entry.file: entry for entry in bundle.manifest.plans}
    plans = sorted(file for file in listed if file.endswith(".plan"))
    if not plans:
        raise BundleError(f"bundle {bundle.manifest.name} carries no plans; build them with: edgedepth build")
    known = {entry.sha256 for entry in bundle.manifest.files()}
    accounts = {file: _carried_sidecar(bundle, listed, file) for file in plans}
    for file, sidecar in accounts.items():  # all are looked at before any is taken
        if sidecar.onnx_sha256 not in known:
            raise BundleError(f"{file} is of a network that the bundle does not hold; build it again: edgedepth build")
    there = {entry.sidecar.plan_sha256: entry for entry in store.entries()}
    rejected = [file for file, sidecar in accounts.items() if _rejected(there.get(sidecar.plan_sha256))]
    if rejected:
        raise BundleError(
            f"{rejected[0]} was rejected by its golden check on this machine; build it again: edgedepth build"
        )
    taken = []
    for file, sidecar in accounts.items():
        mine = sidecar.model_copy(update={"trusted_from": bundle.digest, "checked": "", "rejected": ""})
        taken.append(mine)
        entry = there.get(sidecar.plan_sha256)
        if entry is None or not isinstance(store.read(entry), Hit):  # or it is damaged there
            store.put(f"trusted-{sidecar.plan_sha256[:24]}", bundle.path(listed[file]).read_bytes(), mine)
    return taken


def _rejected(entry: Entry | None) -> bool:
    return entry is not None and bool(entry.sidecar.rejected)


def _carried_sidecar(bundle: Bundle, listed: dict[str, BundleFile], file: str) -> Sidecar:
    name = file.removesuffix(".plan") + ".json"
    if name not in listed:
        raise BundleError(f"{file} has no sidecar in bundle {bundle.manifest.name}; build it again: edgedepth build")
    path = bundle.path(listed[name])
    try:
        sidecar = Sidecar.from_json(path.read_text(errors="replace"), name)
    except BackendError:
        raise BundleError(f"{name} is no sidecar of this version; build its plan again: edgedepth build") from None
    if sidecar.plan_sha256 != listed[file].sha256:
        raise BundleError(f"{file} is not the plan that its sidecar describes (plan_sha256 differs); do not trust it")
    return sidecar


def _labelled(report: BundleReport, name: str) -> Callable[[str, float], object]:
    return lambda phase, share: report(name, phase, share)


def _plan_name(built: BuiltPlan) -> str:
    sidecar = built.plan.sidecar
    size = f".{built.sizes_text.replace('..', '-')}" if built.sizes else ""
    gpus = "+".join(f"sm{capability.replace('.', '')}" for capability in sidecar.compute_capabilities)
    if sidecar.bound_to_gpu and sidecar.gpu:
        gpus += "." + re.sub(r"[^A-Za-z0-9]+", "-", sidecar.gpu).strip("-")
    return f"{built.role}.{built.network}.{built.precision}{size}.{sidecar.flavour}-{sidecar.version}.{gpus}"
