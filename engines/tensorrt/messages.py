"""TensorRT's failures as one line: what it said, about which node, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgedepth.core.errors import BackendError
from edgedepth.engines.tensorrt.flavour import Flavour, ParserFault
from edgedepth.engines.tensorrt.logger import ERRORS, LogLine

_LIMIT = 320
# A build alone would find the plan that the library refuses, as all that the cache knows of it fits.
_DROP = "drop the kept engines with: edgedepth cache clear, and run again"
_EXPORT_AGAIN = "export the network again with: edgedepth export"
# What the library says -> what to do about it; the first that matches.
REMEDIES: tuple[tuple[str, str], ...] = (
    (r"no optimization profile has been defined|missing dimensions in profile",
     "give the profile of every dynamic input in BuildConfig(profiles=...)"),
    (r"MIN<=OPT<=MAX|profile->isValid", "give a profile with min <= opt <= max in every dimension"),
    (r"within workspace limit|insufficient workspace", "allow more workspace with --workspace MiB, or leave it out"),
    (r"OutOfMemory|out of memory", "free device memory, or give less workspace with --workspace MiB"),
    (r"magicTag|header\.size == blobSize|bufferSize >= minBufferSize|empty memory buffer",
     f"the plan is damaged or not one of this flavour; {_DROP}"),
    (r"generated on an incompatible device|serialization version|Version tag|older plan file|expecting compute",
     f"the plan was built for another version or GPU; {_DROP}"),
    (r"generateForCurrent", "no NVIDIA driver is at hand to ask for this GPU; give --target sm86,sm89,sm120"),
    (r"catchCudaError|cudaError|Cuda Runtime|CUDA_ERROR|CUDA initialization failure|CUDA GPU properties"
     r"|ScopedCudaStream",
     "check the NVIDIA driver with: nvidia-smi (on a Jetson: tegrastats)"),
    (r"broadcast dimensions must be conformable|violate shape constraints|not compatible for elementwise",
     "the sizes of a profile must be multiples of the network's stride (32 for most)"),
    (r"must have the same (input )?types|must have same input types|has type Float but second input has type Half",
     f"tensors of two types meet; {_EXPORT_AGAIN} --fp16"),
    (r"type UInt8 but must", f"a uint8 input must be cast first; {_EXPORT_AGAIN}"),
    (r"input has type Int32 but must have type (FP8|Int8)",
     "biases are quantised; calibrate with edgedepth, which leaves them, or with QuantizeBias=False"),
    (r"Non-zero zero point|shiftIsAllZeros", "quantisation must be symmetric int8; calibrate with edgedepth"),
    (r"MyelinCheckException: cudnn_impl|dtype == myelinTypeFloat",
     "this version does not compute int8 convolutions; build --precision fp16, or update TensorRT"),
    (r"libnvinfer_lean", "this installation has no lean runtime; build without version compatibility"),
    (r"MyelinCheckException: graph_jit", "this option needs a GPU at build time; build on the device"),
    (r"ParseFromCodedStream|Failed to parse the ONNX model", f"the file is cut off or damaged; {_EXPORT_AGAIN}"),
    (r"convertOnnxWeights|Failed to import initializer",
     "its weights are in another file; save the model as one file (onnx.save with save_as_external_data=False)"),
    (r"only supports half_pixel|only support round_prefer_floor|[Aa]ntialias|UNSUPPORTED_NODE",
     f"TensorRT has no such mode; {_EXPORT_AGAIN}"),
    (r"Unsupported (ONNX )?data type",
     "TensorRT has no such type of numbers; have the network compute in float32, or use --backend onnxruntime-cuda"),
    (r"not supported in TensorRT|Plugin not found|No importer registered|Unsupported operator|creator &&"
     r"|no runners that implement|^false$",
     "TensorRT has no such operator; replace it in the network, or use --backend onnxruntime-cuda"),
)  # fmt: skip
# The parser's frame around its message, and echoes of a missing driver after every other error.
_NOISE = re.compile(r"^ModelImporter\.cpp|^\[?checkMacros")
_ECHO = re.compile(r"\[checkMacros\.cpp::catchCudaError.*$")
_PREFIX = re.compile(r"^[\w:<>\[\]. ]+: Error Code \d+: [\w ]+ \(|^\[[\w.:]+\] Error Code \d+: [\w ]+ \(")
_PLACE = re.compile(r"\s*In \w+ at \S+:\d+")


def failure(flavour: Flavour, what: str, lines: Sequence[LogLine], faults: Sequence[ParserFault] = ()) -> BackendError:
    """The error for a step that failed.

    what: the step and its object, as in "cannot build low.onnx".
    lines: what the library logged meanwhile.
    faults: what the parser holds against the file.
    """
    if faults:
        fault = faults[0]
        subject = f"node {fault.node!r} ({fault.operator})" if fault.node or fault.operator else "the model"
        said = tidy(fault.text)
    else:
        subject, said = "", _said(lines)
    quote = f'{subject + ": " if subject else ""}"{said}"' if said else subject or "it gives no reason"
    return BackendError(f"{flavour.title} {what}: {quote}; {remedy_for(said)}")


def remedy_for(said: str) -> str:
    """What to do about a message."""
    for pattern, remedy in REMEDIES:
        if re.search(pattern, said):
            return remedy
    return "look at the whole log by setting Python's logger 'edgedepth.tensorrt' to DEBUG"


def tidy(text: str) -> str:
    """A message on one line, without the library's own source places."""
    line = _ECHO.sub("", " ".join(text.split()))
    line = re.sub(r"^Invalid Node - \S+ ", "", line)
    before, line = line, _PREFIX.sub("", line)
    line = _PLACE.sub("", line).strip()
    if line != before and line.endswith(")") and line.count(")") > line.count("("):
        line = line[:-1]
    return line.strip(" .")[:_LIMIT]


def _said(lines: Sequence[LogLine]) -> str:
    """The first error that tells something; where none does, the first one's heading."""
    errors = [line.text for line in lines if line.severity in ERRORS]
    telling = [said for text in errors if not _NOISE.search(text) and (said := tidy(text))]
    headings = [_PLACE.sub("", " ".join(text.split())).strip(" .()")[:_LIMIT] for text in errors]
    return (telling or headings or [""])[0]
