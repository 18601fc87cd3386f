"""ONNX Runtime: CPU everywhere; CUDA, TensorRT and TensorRT-RTX where their providers really load."""
