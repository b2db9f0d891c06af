"""Complements and substitutes, found by what is bought and what is looked at in one visit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.item_pairs import MAX_PAIRS_PER_ITEM, ItemPair, PairKind
from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.training.dataset.corpus import Corpus
from portrait.training.ranker.associations import choose_frequent_items

MIN_VISITS, MIN_SHOPPERS = 3, 3
"""Visits with both items, and shoppers of these: fewer are chance, or one person's habit."""
MAX_VISITS = 300_000
"""Visits of a sample, if there are more."""
DEVIATIONS = 1.96
"""Standard errors on each side of a 95% interval."""
_BLOCK = 512
"""Items that are compared with all others at a time."""
_CHECKED_PAIRS = 2 * MAX_PAIRS_PER_ITEM
"""Pairs of an item, the surest, whose shoppers are counted."""
_PAIRS_AT_ONCE = 512
_BOUGHT, _VIEWED = (EventType.PURCHASE,), (EventType.VIEW, EventType.CLICK)


def find_item_pairs(
    corpus: Corpus, events: NDArray[np.int64], gap_minutes: float | None, seed: int
) -> Iterator[ItemPair]:
    """Find complements and substitutes; none in a log without times, whose visits are unknown.

    Both are read from 2 × 2 tables of visits: with both items, with one of them, with neither. The log odds ratio and
    its standard error are those of Woolf ("On estimating the relation between blood group and disease", 1955), with
    half a visit added to each cell (Haldane 1956, Anscombe 1956), so that empty cells are no obstacle.

    - A substitute is looked at together more than by chance, and the 95% interval of the log odds ratio of looking
      minus that of buying is above 0: who looks at both buys one. The two are taken as independent, so that their
      variances add up.
    - A complement is no substitute, and the 95% interval of the log odds ratio of buying is above 0.

    That views in common tell substitutes and purchases in common complements follows McAuley et al. ("Inferring
    Networks of Substitutable and Complementary Products", 2015).

    Args:
        corpus: the events.
        events: those to learn from, with an item each, ascending.
        gap_minutes: a longer pause ends a visit; None without times.
        seed: of the sample, if there are very many visits.

    Yields:
        The pairs of each item, the surest of each kind first.
    """
    if gap_minutes is None:
        return
    chosen = choose_frequent_items(corpus, events)
    visit = _number_visits(corpus, events, gap_minutes)
    bought = Visits.collect(corpus, events, visit, chosen, _BOUGHT, seed)
    viewed = Visits.collect(corpus, events, visit, chosen, _VIEWED, seed)
    item_ids = [corpus.items[row].item_id for row in chosen.tolist()]
    for first in range(0, len(chosen), _BLOCK):
        yield from _compare_items(bought, viewed, range(first, min(first + _BLOCK, len(chosen))), item_ids)


def _number_visits(corpus: Corpus, events: NDArray[np.int64], gap_minutes: float) -> NDArray[np.int64]:
    """`[events]`: ascending numbers of the visits; a longer pause, or another shopper, begins one."""
    shopper, time = corpus.event_shopper[events], corpus.columns.time[events]
    goes_on = (shopper[1:] == shopper[:-1]) & (time[1:] - time[:-1] <= gap_minutes * 60.0)
    return np.cumsum(np.append(False, ~goes_on)).astype(np.int64)


@dataclass(frozen=True)
class Visits:
    """Visits with an event of some types, and the items of these events."""

    items: sparse.csc_matrix
    """`[visits, items]`: 1 where the visit has such an event of the item."""
    shopper: NDArray[np.int64]
    """`[visits]`."""

    @classmethod
    def collect(
        cls,
        corpus: Corpus,
        events: NDArray[np.int64],
        visit: NDArray[np.int64],
        chosen: NDArray[np.int64],
        kinds: Sequence[EventType],
        seed: int,
    ) -> "Visits":
        """Collect the visits with events of some types.

        Args:
            corpus: the events.
            events: those to learn from, with an item each, ascending.
            visit: `[events]`, number of the visit of each.
            chosen: ascending rows of the items that have columns.
            kinds: types of events that count.
            seed: of the sample.
        """
        column = np.full(len(corpus.items), -1)
        column[chosen] = np.arange(len(chosen))
        own = np.isin(corpus.columns.type_code[events], [EVENT_TYPE_CODES[kind] for kind in kinds])
        numbers = np.unique(visit[own])
        if len(numbers) > MAX_VISITS:
            numbers = np.sort(np.random.default_rng(seed).choice(numbers, MAX_VISITS, replace=False))
            own &= np.isin(visit, numbers)
        row, place = np.searchsorted(numbers, visit[own]), column[corpus.event_item[events[own]]]
        shopper = np.zeros(len(numbers), dtype=np.int64)
        shopper[row] = corpus.event_shopper[events[own]]
        cells = np.unique(np.stack([row, place])[:, place >= 0], axis=1)
        ones = np.ones(cells.shape[1], dtype=np.int32)
        return cls(sparse.csc_matrix((ones, (cells[0], cells[1])), shape=(len(numbers), len(chosen))), shopper)

    @property
    def counts(self) -> NDArray[np.int64]:
        """`[items]`: visits with each."""
        return np.diff(self.items.indptr).astype(np.int64)

    def count_together(self, items: range) -> NDArray[np.int64]:
        """`[len(items), all items]`: visits with both of two items; 0 of an item and itself."""
        together = (self.items[:, items.start : items.stop].T @ self.items).toarray().astype(np.int64)
        together[np.arange(len(items)), np.array(items)] = 0
        return np.asarray(together)

    def count_shoppers(self, item: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        """`[pairs]`: distinct shoppers of the visits with both items."""
        counts = []
        for begin in range(0, len(item), _PAIRS_AT_ONCE):
            part = slice(begin, begin + _PAIRS_AT_ONCE)
            both = self.items[:, item[part]].multiply(self.items[:, other[part]]).tocoo()
            pair, _ = np.unique(np.stack([both.col, self.shopper[both.row]]), axis=1)
            counts.append(np.bincount(pair, minlength=len(item[part])))
        return np.concatenate([np.empty(0, dtype=np.int64), *counts])


@dataclass(frozen=True)
class _Association:
    """Associations of pairs of items over visits."""

    visits: Visits
    together: NDArray[np.int64]
    """`[pairs]`."""
    ratio: NDArray[np.float64]
    """`[pairs]`: log odds ratios."""
    error: NDArray[np.float64]
    """`[pairs]`: their standard errors."""

    @classmethod
    def measure(
        cls, visits: Visits, together: NDArray[np.int64], item: NDArray[np.int64], other: NDArray[np.int64]
    ) -> "_Association":
        first, second, total = visits.counts[item], visits.counts[other], len(visits.shopper)
        both, one, two, none = (
            cell + 0.5 for cell in (together, first - together, second - together, total - first - second + together)
        )
        ratio = np.log(both) + np.log(none) - np.log(one) - np.log(two)
        return cls(visits, together, ratio, np.sqrt(1.0 / both + 1.0 / one + 1.0 / two + 1.0 / none))

    @property
    def lower_bound(self) -> NDArray[np.float64]:
        return self.ratio - DEVIATIONS * self.error

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        return (self.together >= MIN_VISITS) & (self.lower_bound > 0.0)


def _compare_items(bought: Visits, viewed: Visits, items: range, item_ids: Sequence[str]) -> Iterator[ItemPair]:
    """Yield the pairs that some items lead to."""
    both_bought, both_viewed = bought.count_together(items), viewed.count_together(items)
    item, other = np.nonzero((both_bought >= MIN_VISITS) | (both_viewed >= MIN_VISITS))
    together = both_bought[item, other], both_viewed[item, other]
    item = item + items.start
    buying = _Association.measure(bought, together[0], item, other)
    looking = _Association.measure(viewed, together[1], item, other)
    contrast = looking.ratio - buying.ratio - DEVIATIONS * np.hypot(looking.error, buying.error)
    is_substitute = looking.is_positive & (contrast > 0.0)
    found = (
        (PairKind.COMPLEMENT, buying, buying.is_positive & ~is_substitute, buying.lower_bound),
        (PairKind.SUBSTITUTE, looking, is_substitute, contrast),
    )
    for kind, measured, holds, bound in found:
        counts = measured.visits.counts
        for place, shoppers in _choose_pairs(measured, holds, bound, item, other):
            yield ItemPair(
                kind=kind,
                item_id=item_ids[item[place]],
                other_item_id=item_ids[other[place]],
                together=int(measured.together[place]),
                with_item=int(counts[item[place]]),
                with_other=int(counts[other[place]]),
                visits=len(measured.visits.shopper),
                bought_together=int(buying.together[place]),
                shoppers=shoppers,
                log_odds_ratio=float(measured.ratio[place]),
                lower_bound=float(bound[place]),
            )


def _choose_pairs(
    measured: _Association,
    holds: NDArray[np.bool_],
    bound: NDArray[np.float64],
    item: NDArray[np.int64],
    other: NDArray[np.int64],
) -> Iterable[tuple[int, int]]:
    """Choose of each item the surest pairs of enough shoppers; returns places of pairs, and counts of shoppers."""
    places = _keep_surest(np.flatnonzero(holds), item, bound, _CHECKED_PAIRS)
    shoppers = measured.visits.count_shoppers(item[places], other[places])
    common = shoppers >= MIN_SHOPPERS
    count = dict(zip(places[common].tolist(), shoppers[common].tolist(), strict=True))
    return [(place, count[place]) for place in _keep_surest(places[common], item, bound, MAX_PAIRS_PER_ITEM).tolist()]


def _keep_surest(
    places: NDArray[np.int64], item: NDArray[np.int64], bound: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Keep of each item the `count` places with the highest bounds; by item, the highest first."""
    order = places[np.lexsort((-bound[places], item[places]))]
    items = item[order]
    rank = np.arange(len(order)) - np.searchsorted(items, items, side="left")
    return order[rank < count]
