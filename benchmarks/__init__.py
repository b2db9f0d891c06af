"""Benchmarks of Portrait: `python -m benchmarks` lists them."""

import os
import sys

# Both runtimes report their use over the internet unless they are told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
