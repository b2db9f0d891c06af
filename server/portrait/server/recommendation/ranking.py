"""Ranking: the best items of a catalogue for a shopper, or the caller's own candidates in order."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.history_summary import HistorySummary
from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.features.generators import run_to_completion
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.features.text.normalisation import normalise_text
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.engine import FEW_ITEMS, SHORT_ROWS, Engine
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.candidates import compute_features, generate_candidates, summarise_shopper
from portrait.server.recommendation.diversity import limit_categories
from portrait.server.recommendation.fallback_ranking import compute_fallback_scores, generate_fallback_candidates
from portrait.server.recommendation.reviewed_candidates import compute_boosts, place_reviewed
from portrait.server.recommendation.rule_plan import NO_RULES, RulePlan, ShopRules
from portrait.server.recommendation.withholding import bar_unshown, plan_reviews, select_usable
from portrait.server.reviews.review import SubjectKind
from portrait.server.reviews.review_set import NO_REVIEW_SET, NO_REVIEWS, SHOWN, Reviewed, Reviews, ReviewSet
from portrait.server.runtime.cooperation import run_in_steps, run_in_thread, run_waiting

_QUICK_MILLISECONDS = 3.0
"""Searches that take longer run in a thread, so that they do not hold the event loop up. Below that a thread costs
more: it and the loop take the interpreter's lock from each other at each of the many short calls of NumPy."""
_FEW_ROWS = 1_000
"""Changed and excluded items that are looked at without a thread."""


@dataclass(frozen=True, slots=True)
class RankingRequest:
    """The inputs of every ranking."""

    history: Sequence[Event]
    """Oldest first, nothing later than `as_of`. Empty for an unknown shopper."""
    as_of: datetime
    catalogue: str = DEFAULT_CATALOGUE
    query: str = ""
    min_age: int = 0
    """The shopper is at least so old, by declaration; 0 if nothing is declared."""
    allow_degraded: bool = False
    """True if a response without the models is better than none."""
    reviews: Reviews = NO_REVIEWS
    """Those that may hold for the shopper."""


@dataclass(frozen=True, slots=True)
class RecommendRequest(RankingRequest):
    """Asks for the best items of a catalogue."""

    k: int = 10
    filter: Filter = field(default_factory=Filter)
    exclude_seen: bool = False
    rules: ShopRules = NO_RULES
    """The shop's rules, of which some may apply."""
    max_per_category: int = 0
    """Maximum number of items with one category path; 0 for no limit. Items without a path are not limited."""


@dataclass(frozen=True, slots=True)
class RankRequest(RankingRequest):
    """Asks to order candidates. One with a title is ranked by its own words, else by what the catalogue holds."""

    candidates: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item at its place."""

    item: Item
    score: float
    click_probability: float
    purchase_probability: float
    rules: tuple[str, ...] = ()
    """Names of the shop's rules that moved it."""
    reviewed_by: str = ""
    """Name of the person who reviewed it for the shopper; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked items, the best first, and what ranked them."""

    items: list[RankedItem]
    release: int
    event_count: int
    """Number of events of the history that the ranking used."""
    degraded: bool = False
    """True if the ranking was made without the models."""
    reviewed_by: Sequence[str] = ()
    """Everybody whose reviews hold for it, by name."""


async def recommend(engine: Engine, request: RecommendRequest, *, deadline: float | None) -> Ranking:
    """Recommend the best items of a catalogue for a shopper.

    Args:
        engine: of the release that ranks.
        request: what is asked for.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        NotFound: there is no such catalogue.
        Unavailable: the nearest items are searched in another process, which does not answer.
    """
    usable = await _select_usable(engine, request)
    if not request.allow_degraded:
        return await _recommend(engine, request, usable, deadline)
    without_models = partial(_recommend_fallback, engine, request, usable)
    return await engine.fallback.answer(partial(_recommend, engine, request, usable), without_models, deadline)


async def _recommend(engine: Engine, request: RecommendRequest, usable: Reviewed, deadline: float | None) -> Ranking:
    catalogue = engine.catalogues[request.catalogue].now
    shopper = await _encode_shopper(engine, request, usable.events, deadline)
    left_out = request.history if request.exclude_seen else ()
    history = summarise_shopper(shopper, catalogue, request.as_of)
    plan = _plan(engine, catalogue, request, usable.reviews)
    generate = partial(
        generate_candidates, catalogue, shopper, history, request.k, request.filter, left_out,
        request.max_per_category, plan,
    )  # fmt: skip
    chosen = await _run_generation(generate, catalogue, request, len(left_out))
    count = len(chosen.items) if request.max_per_category or (plan and plan.needs_all) else request.k
    boosts = plan.compute_boosts(catalogue, chosen.numbers) if plan else None
    ordered = await _rank_candidates(engine, chosen, shopper, history, request, count, deadline, boosts)
    return _make_ranking(engine, _arrange(catalogue, ordered, request, plan), request, usable)


async def _select_usable(engine: Engine, request: RankingRequest) -> Reviewed:
    """Select the events that may decide the order: none of a search, where the release learnt that they don't help."""
    is_search = request.catalogue == DEFAULT_CATALOGUE and bool(normalise_text(request.query))
    reads_past = engine.release.manifest.searches_read_past or not is_search
    if not reads_past and not request.reviews:
        return Reviewed((), NO_REVIEW_SET)
    usable = await select_usable(engine, request.history, request.min_age, request.reviews)
    return usable if reads_past else Reviewed((), usable.reviews)


def _plan(engine: Engine, catalogue: Snapshot, request: RecommendRequest, reviews: ReviewSet) -> RulePlan | None:
    """Plan the shop's rules, what is barred beside them, and what reviews say of items."""
    plan = request.rules.plan(
        catalogue, request.history, request.query, request.as_of, blocked=reviews.blocked_rules
    )  # fmt: skip
    return plan_reviews(catalogue, bar_unshown(engine, catalogue, plan, request.min_age), reviews)


async def _encode_shopper(
    engine: Engine, request: RankingRequest, usable: Sequence[Event], deadline: float | None
) -> Shopper:
    """Encode the shopper who asks; the query in general language too, where other things than products are searched."""
    encoding = engine.shoppers.encode(usable, request.query, request.as_of, engine.snapshots, deadline)
    if request.catalogue == DEFAULT_CATALOGUE or not normalise_text(request.query):
        return await encoding
    query = engine.texts.encode([request.query], deadline, "sentence_embedding")
    shopper, [sentence] = await asyncio.gather(encoding, query)
    return replace(shopper, query_sentence=sentence)


async def _run_generation(
    generate: Callable[[], CandidateSet], catalogue: Snapshot, request: RecommendRequest, left_out: int
) -> CandidateSet:
    """Generate candidates where that holds nobody up."""
    if catalogue.is_search_remote:
        return await run_waiting(generate)
    return generate() if _is_quick(catalogue, request, left_out) else await run_in_thread(generate)


def _is_quick(catalogue: Snapshot, request: RecommendRequest, left_out: int) -> bool:
    """Tell whether candidates are found so quickly that a thread would cost more than it saves."""
    if len(catalogue) + left_out <= SHORT_ROWS:
        return True
    if request.filter.has_conditions or request.max_per_category or catalogue.added + left_out > _FEW_ROWS:
        return False
    searches = 1 + bool(request.query)
    return catalogue.search_milliseconds is not None and searches * catalogue.search_milliseconds <= _QUICK_MILLISECONDS


def _recommend_fallback(engine: Engine, request: RecommendRequest, usable: Reviewed) -> Ranking | None:
    """Rank without the models; None if the query's embedding is unknown, as no item could match the query."""
    catalogue, snapshots = engine.catalogues[request.catalogue].now, engine.snapshots
    shopper = engine.shoppers.encode_cached(usable.events, request.query, request.as_of, snapshots)
    if shopper is None:
        return None
    left_out = request.history if request.exclude_seen else ()
    history = summarise_shopper(shopper, catalogue, request.as_of)
    plan = _plan(engine, catalogue, request, usable.reviews)
    chosen = generate_fallback_candidates(
        catalogue, shopper, history, request.k, request.filter, left_out, request.max_per_category, plan
    )
    scores = compute_fallback_scores(chosen, catalogue, shopper)
    if plan:
        scores += plan.compute_boosts(catalogue, chosen.numbers)
    ranked = [RankedItem(item, score, 0.0, 0.0) for item, score in zip(chosen.items, scores.tolist(), strict=True)]
    ranked.sort(key=lambda each: (-each.score, each.item.item_id))
    return _make_ranking(engine, _arrange(catalogue, ranked, request, plan), request, usable, degraded=True)


def _arrange(
    catalogue: Snapshot, ranked: list[RankedItem], request: RecommendRequest, plan: RulePlan | None
) -> list[RankedItem]:
    """Take the best `k`, with at most `max_per_category` of each category path, as the rules arrange them."""
    moving = plan if plan and plan.moves_items else None
    if not request.max_per_category and moving is None:
        return ranked[: request.k]
    rows = np.array([catalogue.row(each.item.item_id) for each in ranked], dtype=np.int64)
    if request.max_per_category:
        places = limit_categories(catalogue.categories(rows), request.max_per_category)
        ranked, rows = [ranked[place] for place in places], rows[places]
    if moving is None:
        return ranked[: request.k]
    scores = np.array([each.score for each in ranked], dtype=np.float32)
    return [replace(ranked[place], rules=names) for place, names in moving.arrange(catalogue, rows, scores, request.k)]


async def rank(engine: Engine, request: RankRequest, *, deadline: float | None) -> Ranking:
    """The caller's candidates in order; those that nothing is known of come last, with zeros.

    Args:
        engine: of the release that ranks.
        request: what is asked for.
        deadline: `loop.time()` at which the caller's time is up; None if never.

    Raises:
        NotFound: there is no such catalogue.
    """
    usable = await _select_usable(engine, request)
    if not request.allow_degraded:
        return await _rank(engine, request, usable, deadline)
    without_models = partial(_rank_fallback, engine, request, usable)
    return await engine.fallback.answer(partial(_rank, engine, request, usable), without_models, deadline)


async def _rank(engine: Engine, request: RankRequest, usable: Reviewed, deadline: float | None) -> Ranking:
    catalogue = engine.catalogues[request.catalogue].now
    shopper = await _encode_shopper(engine, request, usable.events, deadline)
    work = _group_duplicates(request.candidates)
    copies, distinct = run_to_completion(work) if len(request.candidates) <= FEW_ITEMS else await run_in_steps(work)
    known = await _collect_candidates(engine, catalogue, list(distinct.values()), deadline)
    # A candidate with its own text is still the same object; one without was replaced by the item of the catalogue.
    by_words = {id(item): copies[key] for key, item in distinct.items() if item.title}
    history = summarise_shopper(shopper, catalogue, request.as_of)
    boosts = compute_boosts(known.items, catalogue.name, usable.reviews)
    once = await _rank_candidates(engine, known, shopper, history, request, len(known.items), deadline, boosts)
    ranked = [each for each in once for _ in range(by_words.get(id(each.item), copies[each.item.item_id,]))]
    unknown = (item for item in request.candidates if not item.title and catalogue.row(item.item_id) is None)
    ranked.extend(RankedItem(item, 0.0, 0.0, 0.0) for item in unknown)
    return _make_ranking(engine, _place(ranked, catalogue.name, usable.reviews), request, usable)


def _rank_fallback(engine: Engine, request: RankRequest, usable: Reviewed) -> Ranking:
    """Rank without the models; equal scores keep the caller's order, as do all if the query has no known embedding."""
    catalogue, snapshots = engine.catalogues[request.catalogue].now, engine.snapshots
    shopper = engine.shoppers.encode_cached(usable.events, request.query, request.as_of, snapshots)
    score: dict[str, float] = {}
    if shopper is not None:
        rows = [row for item in request.candidates if (row := catalogue.row(item.item_id)) is not None]
        held = catalogue.take(np.array(rows, dtype=np.int64))
        scores = compute_fallback_scores(held, catalogue, shopper)
        boosts = compute_boosts(held.items, catalogue.name, usable.reviews)
        score = dict(zip(held.item_ids, (scores if boosts is None else scores + boosts).tolist(), strict=True))
    ranked = [
        RankedItem(item if item.title else catalogue.item(item.item_id) or item, score.get(item.item_id, 0.0), 0.0, 0.0)
        for item in request.candidates
    ]
    ranked.sort(key=lambda each: (each.item.item_id not in score, -each.score))
    return _make_ranking(engine, _place(ranked, catalogue.name, usable.reviews), request, usable, degraded=True)


def _place(ranked: list[RankedItem], catalogue: str, reviews: ReviewSet) -> list[RankedItem]:
    return [ranked[place] for place in place_reviewed([each.item for each in ranked], catalogue, reviews)]


async def _collect_candidates(
    engine: Engine, catalogue: Snapshot, candidates: Sequence[Item], deadline: float | None
) -> CandidateSet:
    """Build candidates from their own text, or else from the catalogue; leave out items that have neither."""
    wordless = [item for item in candidates if not item.title]
    worded = [item for item in candidates if item.title]
    encoded = await engine.encode_items(catalogue.name, worded, deadline)
    by_words = replace(encoded, numbers=catalogue.number_items([item.item_id for item in worded]))
    held = [row for item in wordless if (row := catalogue.row(item.item_id)) is not None]
    return by_words.joined(catalogue.take(np.array(held, dtype=np.int64)))


def _group_duplicates(
    candidates: Sequence[Item],
) -> Generator[None, None, tuple[Counter[tuple[object, ...]], dict[tuple[object, ...], Item]]]:
    """Count equal candidates and keep one of each, so that the models score it once."""
    copies: Counter[tuple[object, ...]] = Counter()
    distinct = {}
    for item in candidates:
        yield
        key = _key(item)
        copies[key] += 1
        distinct[key] = item
    return copies, distinct


def _key(item: Item) -> tuple[object, ...]:
    """Return a key that is equal for candidates with the same model inputs."""
    if not item.title:
        return (item.item_id,)
    attributes = frozenset(item.attributes.items())
    return (item.item_id, item.title, item.brand, item.category_path, item.price, attributes)


async def _rank_candidates(
    engine: Engine,
    chosen: CandidateSet,
    shopper: Shopper,
    history: HistorySummary,
    request: RankingRequest,
    k: int,
    deadline: float | None,
    boosts: NDArray[np.float32] | None = None,
) -> list[RankedItem]:
    """Rank the best `k` candidates; equal scores are ordered by item id. `boosts`, `[candidates]`, add to the scores.

    The ranker learnt from queries for products only, and so did the space of products. In other catalogues the cosine
    of sentence vectors alone scores a query.
    """
    features = compute_features(chosen, shopper, history)
    scores = await engine.ranker.score(shopper.profile, shopper.query, chosen.vectors, features, deadline)
    deciding = scores.score
    if chosen.sentences is not None and shopper.query_sentence is not None:
        deciding = chosen.sentences @ shopper.query_sentence
    if boosts is not None:
        deciding = deciding + boosts
    score, click, purchase = deciding.tolist(), scores.click.tolist(), scores.purchase.tolist()
    threshold = np.partition(deciding, -k)[-k] if k < len(score) else -math.inf
    # More than k if some tie with the last; each access to an item makes it anew.
    items = {place: chosen.items[place] for place in np.flatnonzero(deciding >= threshold).tolist()}
    order = sorted(items, key=lambda place: (-score[place], items[place].item_id))
    return [RankedItem(items[place], score[place], click[place], purchase[place]) for place in order[:k]]


def _make_ranking(
    engine: Engine, items: list[RankedItem], request: RankingRequest, usable: Reviewed, *, degraded: bool = False
) -> Ranking:
    count = min(len(usable.events), MAX_REMEMBERED_EVENTS)
    if not usable.reviews:
        return Ranking(items, engine.release.number, count, degraded)
    name = partial(usable.reviews.name_reviewer, SubjectKind.ITEM, request.catalogue)
    marked = [replace(each, reviewed_by=name(each.item.item_id)) for each in items]
    return Ranking(marked, engine.release.number, count, degraded, usable.reviews.list_reviewers(SHOWN))
