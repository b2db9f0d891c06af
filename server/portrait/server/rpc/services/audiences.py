"""AudienceService: finds and counts the shoppers who meet some criteria."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from portrait.server.audiences.search import AudienceOutcome, AudienceResult, AudienceSearch, round_size
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import AudienceTable
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.services.audience_criteria import audience_of
from portrait.server.rpc.services.audience_tables import find_engine, open_table
from portrait.server.rpc.services.page_tokens import PageToken, fingerprint
from portrait.v1 import audience_service_pb2, audience_service_pb2_grpc
from portrait.v1.audience_service_pb2 import AudienceMember, AudienceSummary, FindAudienceResponse

_PAGE = 1_000
"""Shoppers of a page if the request sets no `page_size`."""
_MICROSECONDS = 1_000_000

_SHORTFALLS = {
    AudienceOutcome.FOUND: audience_service_pb2.AUDIENCE_SHORTFALL_UNSPECIFIED,
    AudienceOutcome.TOO_FEW: audience_service_pb2.AUDIENCE_SHORTFALL_AUDIENCE,
    AudienceOutcome.SEED_TOO_SMALL: audience_service_pb2.AUDIENCE_SHORTFALL_SEED,
}


@dataclass(frozen=True, slots=True)
class _AudienceResult:
    """The result of a search, the table that was searched, and the summary for the caller."""

    found: AudienceResult
    table: AudienceTable
    summary: AudienceSummary


class AudienceService(audience_service_pb2_grpc.AudienceServiceServicer):
    """Finds audiences.

    Args:
        registry: holds the engines, which encode labels.
        snapshots: the audience tables.
        search: searches the tables.
    """

    def __init__(self, registry: EngineRegistry, snapshots: TableSnapshots, search: AudienceSearch) -> None:
        self._registry = registry
        self._snapshots = snapshots
        self._search = search

    async def FindAudience(  # type: ignore[override] # noqa: N802 - writes its responses, as `InterceptorChain` requires
        self, request: audience_service_pb2.FindAudienceRequest, context: Context
    ) -> None:
        """Stream the shoppers of an audience in pages; a page token resumes the stream."""
        question = fingerprint(request.audience)
        token = PageToken.read(request.page_token, question) if request.page_token else None
        answer = await self._answer(request.audience, token)
        pages = _pages(answer, request.page_size or _PAGE, question, token.row if token else 0)
        named = 0
        try:
            # A thread makes the pages: a page of ten thousand shoppers would block the event loop.
            while (page := await asyncio.to_thread(next, pages, None)) is not None:
                await context.write(page)
                named += len(page.members)
        finally:
            structlog.contextvars.bind_contextvars(shoppers=named)

    async def EstimateAudience(  # noqa: N802 - the contract's name
        self, request: audience_service_pb2.EstimateAudienceRequest, context: Context
    ) -> audience_service_pb2.EstimateAudienceResponse:
        """Count the shoppers of an audience."""
        answer = await self._answer(request.audience, None)
        return audience_service_pb2.EstimateAudienceResponse(summary=answer.summary)

    async def _answer(self, message: audience_service_pb2.Audience, token: PageToken | None) -> _AudienceResult:
        with self._registry.routes as routes:
            engine = routes.serving if token is None else find_engine(self._registry, token)
            table = await open_table(self._snapshots, engine, token)
            audience = await audience_of(message, engine, current_deadline())
            found = await self._search.find(audience, table, engine.release.profiles)
        structlog.contextvars.bind_contextvars(release=engine.release.number, outcome=found.outcome.value)
        return _AudienceResult(found, table, _summary(found, table, self._search.min_size))


def _pages(answer: _AudienceResult, size: int, question: bytes, first: int) -> Iterator[FindAudienceResponse]:
    """Make the pages from row `first` on; an empty audience has one page without members."""
    rows, table = answer.found.rows, answer.table
    begin = int(np.searchsorted(rows, first))
    description = table.description
    token = partial(PageToken, description.release, description.snapshot, question=question)
    while True:
        page = slice(begin, begin + size)
        begin += size
        more = begin < len(rows)
        yield FindAudienceResponse(
            members=_members(answer, page),
            next_page_token=str(token(row=int(rows[begin]))) if more else "",
            summary=answer.summary,
        )
        if not more:
            return


def _members(answer: _AudienceResult, page: slice) -> list[AudienceMember]:
    rows, similarity = answer.found.rows[page], answer.found.similarity
    told = zip(
        answer.table.shopper_ids(rows),
        answer.table["as_of"][rows].tolist(),
        [None] * len(rows) if similarity is None else similarity[page].tolist(),
        strict=True,
    )
    return [
        AudienceMember(shopper_id=shopper_id, as_of=_timestamp(as_of), similarity=each)
        for shopper_id, as_of, each in told
    ]


def _summary(found: AudienceResult, table: AudienceTable, minimum: int) -> AudienceSummary:
    description = table.description
    return AudienceSummary(
        estimated_size=round_size(len(found.rows), minimum),
        shortfall=_SHORTFALLS[found.outcome],
        minimum_size=minimum,
        release=description.release,
        snapshot=str(description.snapshot),
        table_size=round_size(len(table), minimum),
        oldest_as_of=_timestamp(description.oldest_as_of),
        newest_as_of=_timestamp(description.newest_as_of),
    )


def _timestamp(microseconds: int) -> Timestamp:
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=1_000 * rest)
