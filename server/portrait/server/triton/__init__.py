"""The Triton server that Portrait starts itself where no container runs one: real, CPU only, on loopback.

    async with EmbeddedTriton(repository, log) as triton:
        await triton.load(release)
        ...  # triton.url

`EmbeddedTriton` restarts a server that died and loads its releases again. `TritonError` says why one can't start.
"""

from portrait.server.triton.installation import TritonError
from portrait.server.triton.process import EmbeddedTriton

__all__ = ["EmbeddedTriton", "TritonError"]
