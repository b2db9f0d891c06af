"""A trained run to a release: ONNX graphs, parity checks, item index, manifest."""
