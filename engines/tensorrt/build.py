"""ONNX in, engine plan out."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedepth.core.errors import BackendError
from edgedepth.core.files import write_atomic
from edgedepth.engines.machine import Gpu
from edgedepth.engines.session import TensorInfo
from edgedepth.engines.tensorrt.camera import resize_in_front
from edgedepth.engines.tensorrt.config import BuildConfig
from edgedepth.engines.tensorrt.flavour import Flavour
from edgedepth.engines.tensorrt.interrupt import held_interrupt
from edgedepth.engines.tensorrt.kernels import Kernel, kernels_of, memory_of
from edgedepth.engines.tensorrt.logger import LogLine, log_of
from edgedepth.engines.tensorrt.messages import failure
from edgedepth.engines.tensorrt.network import LayerFact, layers_of, precision_of
from edgedepth.engines.tensorrt.profiles import add_profiles
from edgedepth.engines.tensorrt.progress import PhaseTree, Report, monitor_for
from edgedepth.engines.tensorrt.sidecar import Sidecar, capability_of_target, platform_tag


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A built engine: the plan, its sidecar, and what went into it.

    layers: the network before fusion.
    kernels: what is left of it after; empty where the flavour does not tell.
    """

    plan: bytes
    sidecar: Sidecar
    layers: tuple[LayerFact, ...]
    kernels: tuple[Kernel, ...]


def engine_from_onnx(
    onnx: Path,
    config: BuildConfig,
    flavour: Flavour,
    *,
    gpu: Gpu | None = None,
    report: Report | None = None,
    timing_cache: Path | None = None,
) -> Engine:
    """Build a strongly typed engine of an ONNX file; precision is what the file says.

    gpu: the GPU of this machine, None where there is none (TensorRT-RTX builds all the same).
    report: told how far the build is.
    timing_cache: file of measured kernel times to read and renew, where the flavour has such a thing.

    Raises:
        BackendError: the file cannot be read, parsed or built; the message quotes TensorRT, names the node and says
            what to do.
        KeyboardInterrupt: Ctrl-C was pressed; a library that tells its progress stops soon after.
    """
    if not flavour.rtx and gpu is None:
        raise BackendError(f"{flavour.title} builds on the GPU, and there is none here; use --backend tensorrt-rtx")
    targets = flavour.resolve_targets(config.targets, None if gpu is None else gpu.capability)
    try:
        data = onnx.read_bytes()
    except OSError as error:
        raise BackendError(f"no ONNX file at {onnx}: {error.strerror}; export one with: edgedepth export") from None
    begun = time.monotonic()
    log = log_of(flavour.trt)
    # the library swallows exceptions in its callbacks, an interrupt's too
    with log.collect() as lines, held_interrupt() as pressed:
        builder = started(flavour, flavour.trt.Builder, "cannot start a builder", lines)
        network = parse_network(flavour, builder, data, onnx.name, lines)
        if config.camera is not None:
            resize_in_front(flavour.trt, network, config.camera)
        layers = layers_of(network)
        settings = _settings(flavour, builder, network, config, targets)
        if timing_cache is not None and flavour.has_timing_cache:
            flavour.use_timing_cache(settings, timing_cache.read_bytes() if timing_cache.is_file() else b"")
        plan = _compile(flavour, builder, network, settings, onnx.name, lines, PhaseTree(report, pressed))
        if timing_cache is not None and flavour.has_timing_cache:
            write_atomic(timing_cache, bytes(settings.get_timing_cache().serialize()))
    kernels = kernels_of(lines)
    sidecar = Sidecar(
        network=onnx.name,
        onnx_sha256=hashlib.sha256(data).hexdigest(),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        flavour=flavour.name,
        version=flavour.version_text,
        platform=platform_tag(),
        compute_capabilities=capabilities(targets, gpu),
        gpu=None if gpu is None else gpu.name,
        precision=precision_of(layers),
        config=config.as_dict(),
        inputs=tuple(_tensors(flavour, network.get_input, network.num_inputs)),
        outputs=tuple(_tensors(flavour, network.get_output, network.num_outputs)),
        kernels=len(kernels),
        memory_bytes=memory_of(lines),
        build_seconds=round(time.monotonic() - begun, 3),
        built_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    return Engine(plan=plan, sidecar=sidecar, layers=layers, kernels=kernels)


def parse_network(flavour: Flavour, builder: Any, data: bytes, name: str, lines: list[LogLine]) -> Any:
    """The network of an ONNX file's bytes; `lines` are what the log has collected.

    Raises:
        BackendError: the parser refuses it; the message names the node.
    """
    network = flavour.create_network(builder)
    parser = flavour.trt.OnnxParser(network, log_of(flavour.trt).logger)
    if not parser.parse(data) or network.num_outputs == 0:
        faults = flavour.parser_faults(parser)
        if network.num_outputs == 0 and not faults:  # bytes that are no protobuf parse to an empty model
            raise BackendError(
                f"{flavour.title} cannot read {name}: it is not an ONNX model; run edgedepth export again"
            )
        raise failure(flavour, f"cannot read {name}", lines, faults)
    return network


def capabilities(targets: tuple[str, ...], gpu: Gpu | None) -> tuple[str, ...]:
    """The compute capabilities an engine is for: of its targets, or of the GPU that it is built on."""
    if targets:
        return tuple(capability_of_target(target) for target in targets)
    return () if gpu is None else (gpu.capability,)


def started(flavour: Flavour, kind: Any, what: str, lines: list[LogLine]) -> Any:
    """A new object of one of the library's classes that take the logger.

    Raises:
        BackendError: the library makes none, most often for want of a driver.
    """
    try:
        return kind(log_of(flavour.trt).logger)
    except TypeError as error:  # its factory returned nothing; the reason is in the log
        raise failure(flavour, what, lines) from error


def _settings(
    flavour: Flavour,
    builder: Any,
    network: Any,
    config: BuildConfig,
    targets: tuple[str, ...],
) -> Any:
    """The builder's configuration object."""
    trt = flavour.trt
    settings = builder.create_builder_config()
    settings.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # the list of kernels; costs nothing at run time
    if config.workspace_mib is not None:
        settings.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, config.workspace_mib << 20)
    if config.optimization_level is not None:
        settings.builder_optimization_level = config.optimization_level
    flavour.set_targets(settings, targets)
    flavour.set_compatibility(settings, config.hardware, config.version_compatible)
    inputs = {network.get_input(i).name: tuple(network.get_input(i).shape) for i in range(network.num_inputs)}
    profiles = config.profiles if config.camera is None else (*config.profiles, *config.camera.profiles)
    add_profiles(builder, settings, inputs, profiles)
    return settings


def _compile(
    flavour: Flavour, builder: Any, network: Any, settings: Any, name: str, lines: list[LogLine], progress: PhaseTree
) -> bytes:
    """Run the builder. It reports failure by returning None, and the reason in the log."""
    monitor = monitor_for(flavour.trt, progress)
    if monitor is not None:
        settings.progress_monitor = monitor
    plan = builder.build_serialized_network(network, settings)
    if progress.error is not None:
        raise progress.error
    if plan is None:
        raise failure(flavour, f"cannot build {name}", lines)
    return bytes(plan)


def _tensors(flavour: Flavour, get: Any, count: int) -> list[str]:
    found = []
    for index in range(count):
        tensor = get(index)
        shape = tuple(None if size < 0 else size for size in tensor.shape)
        found.append(str(TensorInfo(name=tensor.name, shape=shape, dtype=flavour.numpy_dtype(tensor.dtype))))
    return found
