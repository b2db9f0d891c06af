"""How the gateway behaves as users run it: in a process of its own, load from other processes."""

import os
import sys

# Unless told otherwise, both runtimes report to their makers over the internet.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
