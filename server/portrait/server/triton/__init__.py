"""The Triton server that Portrait starts itself where no container runs one: real, closed to other users, supervised.

    async with EmbeddedTriton(repository, log) as triton:
        await triton.load(release)
        ...  # call triton.url

`EmbeddedTriton` restarts a server that died and loads its releases again; `TritonFleet` are servers that others run,
each a `RemoteTriton`; `SupervisedTriton` is an embedded one as other processes of ours see it.
`TritonError` says why a server can't start or a release can't be loaded; `TritonDown` and `TritonLost`
that the server is away.
"""

from portrait.server.triton.connection import open_client
from portrait.server.triton.embedded import EmbeddedTriton
from portrait.server.triton.errors import TritonDown, TritonError, TritonLost
from portrait.server.triton.fleet import TritonFleet
from portrait.server.triton.remote import RemoteTriton, read_admin_key
from portrait.server.triton.supervised import SupervisedTriton

__all__ = [
    "EmbeddedTriton",
    "RemoteTriton",
    "SupervisedTriton",
    "TritonDown",
    "TritonError",
    "TritonFleet",
    "TritonLost",
    "open_client",
    "read_admin_key",
]
