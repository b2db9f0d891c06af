"""Errors of the Triton servers: what to install, what Triton said, or that it is away."""


class TritonError(Exception):
    """Triton can't be started or can't load a model; the message says what to install or what Triton said."""


class TritonDown(TritonError):
    """Triton did not answer before it was asked to load a release, against which nothing is known."""


class TritonLost(TritonError):
    """Triton stopped answering while it loaded or ran a release: by chance, or because of that release."""
