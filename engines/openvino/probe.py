"""Does OpenVINO work here?"""

from __future__ import annotations

from edgedepth.engines.openvino import untold
from edgedepth.engines.session import Availability, one_line


def probe(device: str) -> Availability:
    """Look at the installed OpenVINO and the devices it finds."""
    try:
        with untold():
            import openvino
    except ImportError as error:
        return Availability(available=False, why=f"{one_line(error)}; install it with: pip install 'edgedepth[cpu]'")
    devices = tuple(openvino.Core().available_devices)
    version = str(openvino.__version__).partition("-")[0]
    if device not in devices:
        return Availability(available=False, version=version, devices=devices, why=f"OpenVINO has no {device} here")
    return Availability(available=True, version=version, devices=devices)
