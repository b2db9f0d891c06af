"""The index of one release in Milvus: conditions are searched there, all else that rules rows out is applied here."""

import math
import threading
import time
from typing import Any, ClassVar

import numpy as np
import structlog
from numpy.typing import NDArray
from pymilvus import MilvusClient
from pymilvus.client.types import LoadState

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found, ItemIndex
from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
from portrait.features.search.row_bitmap import RowBitmap
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.search.errors import describe_error
from portrait.server.search.milvus.expressions import format_expression
from portrait.server.search.milvus.schema import METRIC, ROW, VECTOR

MAX_FETCHED = 16_384
"""Rows that Milvus returns for one vector, at most."""
SEARCH_SECONDS = 2.0
"""Seconds that a search may take."""
_CHECK_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_OVERFETCH_FACTOR = 2
"""So many times as many rows are fetched as are wanted, since changed and excluded items are left out here."""
_GROWTH = 8
"""Growth of that number when too few of the fetched rows may be found."""
_EFFORT_FACTOR, _MIN_EFFORT, _MAX_EFFORT = 2, 256, 8_192
"""Candidates that HNSW keeps for each row that is fetched, more where few rows may be found; at least; at most."""
_LOG_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class MilvusIndex(ItemIndex):
    """Searches a collection that holds all rows of a release and never changes.

    Args:
        client: of the Milvus that has the collection.
        collection: its name.
        vectors: `[rows, dimension]`, which the collection was made of. They are compared here where Milvus can't return
            enough rows: where most of the nearest ones were deleted or replaced since the release.
    """

    is_remote: ClassVar[bool] = True

    def __init__(self, client: MilvusClient, collection: str, vectors: NDArray[np.floating[Any]]) -> None:
        self._client, self._collection, self._vectors = client, collection, vectors
        self._counting = threading.Lock()
        self._logged = -_LOG_SECONDS
        self._fault: str | None = None
        self.failures = 0

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimension(self) -> int:  # noqa: D102 - see `ItemIndex`
        return int(self._vectors.shape[1])

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        among: RowBitmap,
        share: float,
        conditions: RowConditions = NO_CONDITIONS,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search, and fetch more while too few of the rows may be found; see `ItemIndex.search`.

        Raises:
            Unavailable: Milvus does not answer.
        """
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.zeros((len(vectors), k), dtype=np.float32)
        expression = format_expression(conditions)
        wanting, fetched = np.arange(len(vectors)), min(_OVERFETCH_FACTOR * k, MAX_FETCHED)
        passing = max(share, 1.0 / len(self))
        while len(wanting):
            short = []
            for place, (found, inner) in zip(
                wanting.tolist(), self._fetch(vectors[wanting], fetched, expression, passing), strict=True
            ):
                is_whole = len(found) < fetched  # there are no others
                kept = np.flatnonzero(bits.contains_rows(among, found))[:k]
                if len(kept) < k and not is_whole:
                    if fetched < MAX_FETCHED:
                        short.append(place)
                        continue
                    found, inner = self._compare_all(vectors[place], k, among)
                    kept = np.arange(len(found))
                rows[place, : len(kept)], scores[place, : len(kept)] = found[kept], inner[kept]
            wanting, fetched = np.array(short, dtype=np.int64), min(_GROWTH * fetched, MAX_FETCHED)
        return rows, scores

    def find_fault(self) -> str | None:
        """Ask Milvus for the collection, and have it loaded if it is not; see `ItemIndex.find_fault`."""
        try:
            state = self._client.get_load_state(self._collection, timeout=_CHECK_SECONDS)["state"]
            if state in {LoadState.NotLoad, LoadState.Loading}:
                self._client.load_collection(self._collection, timeout=_CHECK_SECONDS)
            fault = "its collection is gone" if state == LoadState.NotExist else None
        except Exception as error:  # pymilvus lets those of gRPC pass
            fault = f"Milvus does not answer: {describe_error(error)}"
        if (fault is None) != (self._fault is None):
            _log.warning("index_changed", collection=self._collection, serving=fault is None, reason=fault)
        self._fault = fault
        return fault

    def _fetch(self, vectors: NDArray[np.float32], count: int, expression: str, share: float) -> list[Found]:
        """Fetch the nearest rows to each vector, best first.

        Raises:
            Unavailable: Milvus does not answer.
        """
        if self._fault is not None:
            raise _unavailable()
        wanted = max(_MIN_EFFORT, math.ceil(_EFFORT_FACTOR * count / share))
        effort = max(count, min(wanted, _MAX_EFFORT))
        try:
            answers = self._client.search(
                self._collection,
                data=list(np.ascontiguousarray(vectors, dtype=np.float32)),
                anns_field=VECTOR,
                filter=expression,
                limit=count,
                search_params={"metric_type": METRIC, "params": {"ef": effort}},
                output_fields=[ROW],
                consistency_level="Eventually",  # the collection does not change
                timeout=SEARCH_SECONDS,
            )
            return [
                (np.array(hits.ids, dtype=np.int64), np.array(hits.distances, dtype=np.float32)) for hits in answers
            ]
        except Exception as error:  # pymilvus lets those of gRPC pass
            self._report(error)
            raise _unavailable() from error

    def _report(self, error: Exception) -> None:
        """Count a failure, and log one now and then."""
        with self._counting:
            self.failures += 1
            now = time.monotonic()
            is_due = now - self._logged >= _LOG_SECONDS
            if is_due:
                self._logged = now
        if is_due:
            _log.error("index_failure", collection=self._collection, reason=describe_error(error))

    def _compare_all(self, vector: NDArray[np.float32], k: int, among: RowBitmap) -> Found:
        rows = np.flatnonzero(bits.unpack_rows(among, len(self)))
        inner = self._vectors[rows].astype(np.float32, copy=False) @ vector
        order = np.argsort(-inner, kind="stable")[:k]
        return rows[order], inner[order]


def _unavailable() -> Unavailable:
    return Unavailable("the index of the nearest items does not answer", _RETRY_SECONDS, ErrorReason.INDEX_UNAVAILABLE)
