"""The machine that a benchmark runs on."""

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Describe the operating system, processor and number of cores."""
    return f"{platform.system()} {platform.machine()}, {_read_processor()}, {os.cpu_count()} cores"


def _read_processor() -> str:
    """Read the processor's name from /proc/cpuinfo, as `platform` knows it on few systems."""
    known = Path("/proc/cpuinfo")
    if not known.exists():
        return platform.processor() or "processor unknown"
    names = [
        line.partition(":")[2].strip()
        for line in known.read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or "processor unknown"
