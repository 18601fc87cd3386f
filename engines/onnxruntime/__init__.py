"""ONNX Runtime: CPU everywhere, CUDA where its provider really loads."""
