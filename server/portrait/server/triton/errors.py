"""Errors of the embedded Triton."""


class TritonError(Exception):
    """Triton can't be started or can't load a model; the message says what to install or what Triton said."""
