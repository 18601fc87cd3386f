"""TensorRT 10.x (Jetson), 11.x (desktop) and TensorRT-RTX: one way to build, cache, check and run their engines."""
