"""Instructions to install a part of Portrait that is missing."""

DISTRIBUTION = "shopper-portrait"
"""Name of the distribution. `portrait` on PyPI is a stranger's, and ours is on no public index."""


def explain_install(extra: str) -> str:
    """Say how to install an extra: from a checkout of Portrait, or from the index of those who run it.

    Args:
        extra: one or more of pyproject.toml, with commas between.
    """
    return (
        f"pip install '.[{extra}]' in a checkout of Portrait, or "
        f"pip install --index-url YOUR_INDEX '{DISTRIBUTION}[{extra}]'"
    )
