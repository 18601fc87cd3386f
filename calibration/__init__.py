"""Frames to ranges to INT8 ONNX, measured against FP32 and kept only where it earns its place."""
