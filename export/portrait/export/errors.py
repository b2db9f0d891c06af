"""Why a release was not made."""


class ExportError(Exception):
    """A graph could not be exported or does not agree with the trained model; the message says which and how far."""


class RepositoryError(ExportError):
    """The repository can't hold the release beside what is in it; the message says why. Nothing was written."""
