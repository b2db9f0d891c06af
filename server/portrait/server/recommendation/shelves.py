"""Shelves: items of one kind, such as those that are often bought together, each with its evidence. No model runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import numpy as np

from portrait.features.candidates.sources import NEAREST_CANDIDATES
from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.engine import SHORT_ROWS, Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, NotFound, Violation
from portrait.server.recommendation.candidates import select_allowed
from portrait.server.recommendation.rule_plan import NO_RULES, RulePlan, ShopRules
from portrait.server.recommendation.shelf_evidence import ShelfEvidence
from portrait.server.recommendation.shelf_inputs import ShelfEntry, ShelfInputs
from portrait.server.recommendation.shelf_sources import SOURCES
from portrait.server.recommendation.withholding import bar_unshown, plan_reviews, select_usable
from portrait.server.reviews.review import SubjectKind
from portrait.server.reviews.review_set import NO_REVIEWS, SHOWN, Reviews
from portrait.server.rules.file import Placement
from portrait.server.runtime.cooperation import run_in_thread, run_waiting

OF_ITEMS = frozenset({Placement.SIMILAR_ITEMS, Placement.FREQUENTLY_BOUGHT_TOGETHER})
"""Shelves of the items that a request names."""
OF_HISTORY = frozenset({Placement.BUY_AGAIN, Placement.RECENTLY_VIEWED})
"""Shelves of what stands in the shopper's history."""
_FEW_EVENTS = 256
"""Events that are read without a thread."""


@dataclass(frozen=True, slots=True)
class ShelfRequest:
    """Asks for a shelf."""

    kind: Placement
    """Not `RECOMMENDATIONS`."""
    history: Sequence[Event]
    """Oldest first, nothing later than `as_of`. Empty for an unknown shopper."""
    as_of: datetime
    item_ids: Sequence[str] = ()
    """The items of a shelf `OF_ITEMS`; else none."""
    catalogue: str = DEFAULT_CATALOGUE
    k: int = 10
    filter: Filter = field(default_factory=Filter)
    exclude_seen: bool = False
    rules: ShopRules = NO_RULES
    min_age: int = 0
    """The shopper is at least so old, by declaration; 0 if nothing is declared."""
    reviews: Reviews = NO_REVIEWS
    """Those that may hold for the shopper."""


@dataclass(frozen=True, slots=True)
class ShelfItem:
    """An item on a shelf."""

    item: Item
    score: float
    """Minus the logarithm of its place before the rules, and what they add."""
    evidence: ShelfEvidence
    rules: tuple[str, ...]
    """Names of the shop's rules that put it there or moved it."""
    reviewed_by: str = ""
    """Name of the person who reviewed it for the shopper; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items, the best first."""

    items: list[ShelfItem]
    release: int
    event_count: int
    """Number of the shopper's events that were read."""
    reviewed_by: Sequence[str] = ()
    """Everybody whose reviews hold for it, by name."""


async def fill_shelf(engine: Engine, request: ShelfRequest) -> Shelf:
    """Fill a shelf.

    Args:
        engine: of the release that knows the items.
        request: what is asked for.

    Raises:
        InvalidRequest: the kind of shelf does not take a field.
        NotFound: there is no such catalogue, or it holds none of the items.
        Unavailable: the nearest items are searched in another process, which does not answer.
    """
    _require_fitting(request)
    catalogue = engine.catalogues[request.catalogue].now
    usable, reviews = await select_usable(engine, request.history, request.min_age, request.reviews)
    plan = request.rules.plan(catalogue, request.history, "", request.as_of, request.kind, reviews.blocked_rules)
    plan = plan_reviews(catalogue, bar_unshown(engine, catalogue, plan, request.min_age), reviews)
    work = partial(_fill, engine, catalogue, request, usable, plan)
    if request.kind is Placement.SIMILAR_ITEMS and catalogue.is_search_remote:
        items = await run_waiting(work)
    elif len(catalogue) * max(1, len(request.item_ids)) > SHORT_ROWS or len(request.history) > _FEW_EVENTS:
        items = await run_in_thread(work)
    else:
        items = work()
    if not reviews:
        return Shelf(items, engine.release.number, len(usable))
    name = partial(reviews.name_reviewer, SubjectKind.ITEM, catalogue.name)
    marked = [replace(each, reviewed_by=name(each.item.item_id)) for each in items]
    return Shelf(marked, engine.release.number, len(usable), reviews.list_reviewers(SHOWN))


def _require_fitting(request: ShelfRequest) -> None:
    """Require that nothing is asked for that the kind of shelf can't give."""
    broken = []
    if request.item_ids and request.kind not in OF_ITEMS:
        broken.append(Violation("item_ids", f"sent {len(request.item_ids)} entries; this kind of shelf takes none"))
    if request.exclude_seen and request.kind in OF_HISTORY:
        broken.append(Violation("exclude_seen", "sent true; this kind of shelf shows only items of the history"))
    if broken:
        raise InvalidRequest(broken)


def _fill(
    engine: Engine, catalogue: Snapshot, request: ShelfRequest, usable: Sequence[Event], plan: RulePlan | None
) -> list[ShelfItem]:
    wanted = replace(request.filter, exclude_item_ids=[*request.filter.exclude_item_ids, *request.item_ids])
    inputs = ShelfInputs(
        engine.release,
        catalogue,
        select_allowed(catalogue, wanted, request.history if request.exclude_seen else (), plan),
        _find_anchors(catalogue, request.item_ids),
        usable,
        request.as_of,
        max(NEAREST_CANDIDATES, request.k),
        plan,
    )
    return _arrange(catalogue, SOURCES[request.kind](inputs), request.k, plan)


def _find_anchors(catalogue: Snapshot, item_ids: Sequence[str]) -> dict[str, int]:
    """Find the rows of the items of a request; those that the catalogue does not hold say nothing."""
    found = {item_id: row for item_id in item_ids if (row := catalogue.row(item_id)) is not None}
    if item_ids and not found:
        raise NotFound("item_ids", "the catalogue holds none of these items", ErrorReason.ITEM_UNKNOWN)
    return found


def _arrange(catalogue: Snapshot, entries: Sequence[ShelfEntry], k: int, plan: RulePlan | None) -> list[ShelfItem]:
    """Take the best `k` entries, as the rules arrange them."""
    rows = np.array([entry.row for entry in entries], dtype=np.int64)
    scores = -np.log(np.arange(1.0, len(entries) + 1.0))
    if plan is not None:
        scores += plan.compute_boosts(catalogue, rows)
    order = np.argsort(-scores, kind="stable")
    named: list[tuple[str, ...]] = [()] * min(k, len(order))
    if plan is not None:
        arranged = plan.arrange(catalogue, rows[order], scores[order].astype(np.float32), k)
        order, named = order[[place for place, _ in arranged]], [names for _, names in arranged]
    order = order[:k]
    items = catalogue.take(rows[order]).items
    return [
        ShelfItem(item, float(scores[place]), entries[place].evidence, (*entries[place].rules, *names))
        for place, item, names in zip(order.tolist(), items, named, strict=True)
    ]
