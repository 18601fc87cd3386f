"""OpenVINO on the CPU: the fastest backend where there is no NVIDIA GPU."""
