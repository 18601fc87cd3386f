"""ONNX Runtime: CPU everywhere; CUDA, TensorRT and TensorRT-RTX where their providers really load."""

import os

# From 1.29 on it gives the machine an id and tells Microsoft what it runs. It looks here once, when it is imported;
# who wants that sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
