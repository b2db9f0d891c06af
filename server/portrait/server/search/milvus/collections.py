"""The collections of a Milvus, one for each release: they are filled whole, opened, and dropped.

A collection is filled under another name, and gets its own once it is complete. From then on it does not change:
`UpsertItems` and `DeleteItems` change what gateways hold beside it. So several gateways can share it, and a rollback
finds it as it was.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient

from portrait.features.release.manifest import ReleaseError
from portrait.features.search.indexed_rows import IndexedRows
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.search.errors import IndexStorageError, describe_error
from portrait.server.search.milvus.index import MilvusIndex
from portrait.server.search.milvus.schema import batch_rows, make_index, make_schema

_BUILDING = "_building"
"""Ends the name of a collection that is not complete."""
_FILE_SUFFIX = ".db"
_CONNECT_SECONDS = 5.0
_CALL_SECONDS = 10.0
"""Seconds that a call may take which moves no rows."""
_BATCH_SECONDS = 120.0
_LOAD_SECONDS = 600.0
_BUILD_SECONDS = 86_400.0
_RETRY_SECONDS = 5.0


class MilvusCollections:
    """The collections of releases; see `connect`.

    Args:
        client: of the Milvus that has them.
        url: of it, as messages show it.
    """

    def __init__(self, client: MilvusClient, url: str) -> None:
        self._client, self._url = client, url

    def open(self, identity: str, vectors: NDArray[np.floating[Any]]) -> MilvusIndex:
        """Open the collection of a release, and load it where Milvus has not.

        Args:
            identity: the release's.
            vectors: `[rows, dimension]`, the release's.

        Raises:
            ReleaseError: there is none, or it is not complete.
            Unavailable: Milvus does not answer.
        """
        name = _name_collection(identity)
        try:
            if not self._client.has_collection(name, timeout=_CALL_SECONDS):
                number = identity.partition("-")[0]
                raise ReleaseError(f"release {number} is not in {self._url}: run `portrait index-release {number}`")
            self._client.load_collection(name, timeout=_LOAD_SECONDS)
            rows = self._count(name)
        except ReleaseError:
            raise
        except Exception as error:  # pymilvus lets those of gRPC pass
            raise Unavailable(
                f"Milvus at {self._url} does not answer: {describe_error(error)}",
                _RETRY_SECONDS,
                ErrorReason.INDEX_UNAVAILABLE,
            ) from error
        if rows != len(vectors):
            raise ReleaseError(f"{name} in {self._url} has {rows} rows; the release has {len(vectors)} items")
        return MilvusIndex(self._client, name, vectors)

    def fill(self, identity: str, rows: IndexedRows, tell: Callable[[int], None]) -> bool:
        """Make the collection of a release, unless it is there; returns whether it was made.

        One that an interrupted run has left is made anew.

        Args:
            identity: the release's.
            rows: what it shall hold.
            tell: told how many rows are stored, after each batch.

        Raises:
            IndexStorageError: Milvus does not answer, or refuses something.
        """
        name = _name_collection(identity)
        try:
            if self._is_complete(name, len(rows)):
                return False
            self._build(name + _BUILDING, rows, tell)
            self._drop(name)  # it is there only if it has lost rows
            self._client.rename_collection(name + _BUILDING, name, timeout=_CALL_SECONDS)
        except IndexStorageError:
            raise
        except Exception as error:  # pymilvus lets those of gRPC pass
            raise IndexStorageError(f"Milvus at {self._url}: {describe_error(error)}") from error
        return True

    def drop(self, identity: str) -> bool:
        """Drop the collection of a release that no gateway needs, also an incomplete one; tells whether there was one.

        Raises:
            IndexStorageError: Milvus does not answer.
        """
        name = _name_collection(identity)
        try:
            return any([self._drop(name), self._drop(name + _BUILDING)])
        except Exception as error:  # pymilvus lets those of gRPC pass
            raise IndexStorageError(f"Milvus at {self._url}: {describe_error(error)}") from error

    def close(self) -> None:
        """Close the connection, and the file if it is one."""
        self._client.close()
        if self._url.endswith(_FILE_SUFFIX):
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._url)

    def _is_complete(self, name: str, rows: int) -> bool:
        if not self._client.has_collection(name, timeout=_CALL_SECONDS):
            return False
        self._client.load_collection(name, timeout=_LOAD_SECONDS)
        return self._count(name) == rows

    def _build(self, name: str, rows: IndexedRows, tell: Callable[[int], None]) -> None:
        """Make a collection and wait until it can be searched."""
        self._drop(name)
        self._client.create_collection(name, schema=make_schema(rows.vectors.shape[1]), timeout=_CALL_SECONDS)
        stored = 0
        for batch in batch_rows(rows):
            self._client.insert(name, batch, timeout=_BATCH_SECONDS)
            stored += len(batch)
            tell(stored)
        self._client.flush(name, timeout=_BUILD_SECONDS)
        self._client.create_index(name, make_index(), timeout=_BUILD_SECONDS)
        self._client.load_collection(name, timeout=_LOAD_SECONDS)
        held = self._count(name)
        if held != len(rows):
            raise IndexStorageError(f"{name} in {self._url} has {held} rows after {len(rows)} were stored")

    def _drop(self, name: str) -> bool:
        is_there: bool = self._client.has_collection(name, timeout=_CALL_SECONDS)
        if is_there:
            self._client.drop_collection(name, timeout=_CALL_SECONDS)
        return is_there

    def _count(self, name: str) -> int:
        [counted] = self._client.query(
            name, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=_CALL_SECONDS
        )
        return int(counted["count(*)"])


def connect(url: str) -> MilvusCollections:
    """Connect to a Milvus.

    Args:
        url: http://HOST:PORT, https:// for TLS, or the path of a file of Milvus Lite, which ends with .db; it is
            opened in this process, and by no other one meanwhile.

    Raises:
        IndexStorageError: nobody answers there, or the file can't be opened.
    """
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs each failure with a traceback, which we report
    shown = _hide_password(url)
    try:
        return MilvusCollections(MilvusClient(url, timeout=_CONNECT_SECONDS), shown)
    except Exception as error:  # pymilvus lets those of gRPC pass
        hint = "; another process may have it open" if url.endswith(_FILE_SUFFIX) else ""
        raise IndexStorageError(f"no Milvus answers at {shown}: {describe_error(error)}{hint}") from error


def _name_collection(identity: str) -> str:
    return f"portrait_{identity.replace('-', '_')}"


def _hide_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
