"""A trained run to a release: ONNX graphs, parity checks, item index, manifest."""

import os

# ONNX Runtime reads it when it is imported; unless told otherwise, it reports to its maker over the internet.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
