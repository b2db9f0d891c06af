"""Warms an engine up before shoppers depend on it: every shape once, and the texts that are asked for now."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from portrait.features.events import Event, EventType
from portrait.server.engine import Engine
from portrait.server.inference.encoders import HISTORIES, RANKINGS
from portrait.server.profiles.compute import compute_profile
from portrait.server.profiles.profile import ALL_FIELDS
from portrait.server.recommendation.ranking import RankRequest, RecommendRequest, rank, recommend

MAX_TEXTS = 512
"""Texts that a new release encodes before it serves; at 200 a second it takes about as long as to load it."""
_BATCH = 16
"""Few at a time, since the release that serves needs the cores meanwhile."""


async def warm_up(engine: Engine, texts: Sequence[str]) -> None:
    """Ask for profiles, recommendations and rankings of every size, and remember the embeddings of texts.

    What it asks reads all vectors of items, which a release leaves on the disk until then.

    Args:
        engine: of the new release.
        texts: what the release that serves was asked for last.

    Raises:
        PortraitError: the release does not answer as it should.
    """
    await engine.texts.warm_up()
    now = datetime.now(UTC)
    for history in _histories(engine, now):
        await compute_profile(engine, history, now, fields=ALL_FIELDS, deadline=None)
        await recommend(engine, RecommendRequest(history, now), deadline=None)
    nameless = [replace(item, title="") for item in engine.release.items[: RANKINGS.lengths[-1]]]
    for count in sorted({min(count, len(nameless)) for count in RANKINGS.lengths}):
        await rank(engine, RankRequest((), now, candidates=nameless[:count]), deadline=None)
    for text in texts[:_BATCH]:
        await engine.texts.encode([text], None)
    for first in range(_BATCH, min(MAX_TEXTS, len(texts)), _BATCH):
        await engine.texts.encode(texts[first : first + _BATCH], None)


def _histories(engine: Engine, now: datetime) -> Iterator[list[Event]]:
    """Views of the release's own items: of every length that histories are padded to, and of none."""
    items = engine.release.items
    yield []
    for length in HISTORIES.lengths if items else ():
        seen = (items[place % len(items)] for place in range(length))
        yield [
            Event(f"warm-{place}", EventType.VIEW, now, item_id=item.item_id, catalogue=item.catalogue)
            for place, item in enumerate(seen)
        ]
