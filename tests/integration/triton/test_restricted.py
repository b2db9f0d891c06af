"""A Triton that lets only who knows a key load models, as one that several services can reach should."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from portrait.server.triton import EmbeddedTriton, RemoteTriton, TritonError, open_client, read_admin_key
from portrait.server.triton.installation import Installation
from portrait.server.triton.workspace import Workspace


class _Restricted(EmbeddedTriton):
    def _command(self, installation: Installation, backends: Path, workspace: Workspace) -> Sequence[str]:
        command = super()._command(installation, backends, workspace)
        return (*command, "--grpc-restricted-protocol=model-repository,shared-memory:admin-key=s e=cret")


async def test_releases_are_loaded_with_the_key_alone(two_releases: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("admin-key=s e=cret\n", encoding="utf-8")
    async with _Restricted(two_releases, tmp_path / "triton.log") as triton:
        with pytest.raises(TritonError, match="lets only some callers load models: set triton_admin_key"):
            await RemoteTriton(triton.url, two_releases).load(1)
        with pytest.raises(TritonError, match="set triton_admin_key"):
            await RemoteTriton(triton.url, two_releases, {"triton-grpc-protocol-admin-key": "wrong"}).load(1)
        await RemoteTriton(triton.url, two_releases, read_admin_key(key)).load(1)
        async with open_client(triton.url) as client:
            assert await client.is_model_ready("ranker", "1")
        await RemoteTriton(triton.url, two_releases).load(1)  # nothing is to be done


@pytest.mark.parametrize("content", [b"", b"admin-key", b"=value", b"a b=value", b"name=", b"name=\xff", b"n=v\nm=w"])
def test_a_file_that_holds_no_key_is_refused_unquoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(TritonError, match="triton_admin_key: ") as raised:
        read_admin_key(path)
    assert "value" not in str(raised.value)
    with pytest.raises(TritonError, match="can't be read"):
        read_admin_key(tmp_path)
