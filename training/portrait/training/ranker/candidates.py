"""Candidates of training: for each target the items that serving would rank, and a sample of all others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import (
    CandidateColumns,
    compute_candidate_features,
)
from portrait.features.candidates.history_summary import NO_GROUP, HistorySummary, summarise_history
from portrait.features.candidates.item_statistics import POPULARITY, RECENT_HALF_LIVES_DAYS
from portrait.features.candidates.relations import RELATIONS, RelatedItems, Relations
from portrait.features.candidates.sources import (
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    POPULAR_CANDIDATES,
    RELATED_CANDIDATES,
    RELATED_CANDIDATES_OF_SEARCH,
    WORD_CANDIDATES,
    order_by_habit,
    order_by_popularity,
)
from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.items.item_table import fold_brand
from portrait.features.search.word_index import QueryWords, WordIndex
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders.retrieval import TargetVectors, find_masked_items, rank_catalogue
from portrait.training.ranker.item_index import ItemIndex
from portrait.training.ranker.item_statistics import RecentPopularity
from portrait.training.ranker.targets import list_moment_items

UNIFORM_ITEMS = 32
"""Items per target that are drawn uniformly besides the candidates, to represent the rest of the catalogue."""

SOURCES = ("profile", "query", "cold items", "habit", "popularity", "words", *RELATIONS)
"""Sources of candidates; the number of a source is its bit in `Candidates.found_by`."""

_PURCHASES = (EVENT_TYPE_CODES[EventType.PURCHASE],)
_RECENT_COLUMNS = slice(1, 1 + len(RECENT_HALF_LIVES_DAYS))


@dataclass(frozen=True)
class Candidates:
    """The ranker's input for some targets. Rows are padded with item -1, whose weight is 0."""

    items: NDArray[np.int64]
    """`[targets, candidates]`: the items of all sources, those of the moment that no source found, then items drawn
    uniformly."""
    features: NDArray[np.float32]
    """`[targets, candidates, len(CANDIDATE_FEATURES)]`."""
    shown: NDArray[np.bool_]
    """`[targets, candidates]`: True if serving would rank the item."""
    found_by: NDArray[np.uint16]
    """`[targets, candidates]`: bits of the `SOURCES` that found the item."""
    weight: NDArray[np.float32]
    """`[targets, candidates]`: number of items of the catalogue that the item represents."""
    label: NDArray[np.bool_]
    """`[targets, candidates]`: True for the target."""
    together: NDArray[np.bool_]
    """`[targets, candidates]`: True for each item of the target's moment."""
    bought: NDArray[np.bool_]
    """`[targets]`: True if the target's event is a purchase."""
    query: NDArray[np.int64]
    """`[targets]`: text row of the search directly before the target, -1 if there is none."""


class CandidateBuilder:
    """Builds candidates and their features as serving does.

    Args:
        corpus: the events.
        holdout: which items are masked.
        index: the items.
        relations: where histories lead.
        as_of_targets: events, ascending, of which the popularity of late is read as of the time of each target; None
            for that of the index.
    """

    def __init__(
        self,
        corpus: Corpus,
        holdout: Holdout,
        index: ItemIndex,
        relations: Relations,
        as_of_targets: NDArray[np.int64] | None = None,
    ) -> None:
        self.corpus, self.holdout, self._index, self._relations = corpus, holdout, index, relations
        known = as_of_targets is not None and not np.isnan(corpus.columns.time[as_of_targets]).any()
        self._recent = RecentPopularity(corpus, as_of_targets) if known and as_of_targets is not None else None
        self._popular = order_by_popularity(index.statistics)[: 10 * POPULAR_CANDIDATES]
        self._words = WordIndex.from_items(corpus.items)
        self._categories = _number_groups([item.category_path for item in corpus.items])
        self._brands = _number_groups([fold_brand(item.brand) for item in corpus.items])

    def build(self, vectors: TargetVectors, texts: NDArray[np.float32], random: np.random.Generator) -> Candidates:
        """Build the candidates of each target, and add a uniform sample of the rest of the catalogue.

        Args:
            vectors: vectors of profiles and items.
            texts: `[texts, dimension]`, embeddings of the corpus' texts.
            random: draws the sample.
        """
        corpus, targets = self.corpus, vectors.targets
        query = self._find_queries(targets)
        near, cold = self._find_nearest(vectors)
        asked = np.flatnonzero(query >= 0)
        near_query, cold_query = self._find_nearest(TargetVectors(vectors.items, texts[query[asked]], targets[asked]))
        place = {row: number for number, row in enumerate(asked.tolist())}
        rows: list[dict[str, Any]] = [{} for _ in targets]
        # In the order of time, since the popularity of late moves forward.
        for row in np.argsort(corpus.columns.time[targets], kind="stable").tolist():
            nearest = {"profile": near[row], "cold items": cold[row]}
            if row in place:
                nearest["query"] = near_query[place[row]]
                nearest["cold items"] = np.append(cold[row], cold_query[place[row]])
            rows[row] = self._build_row(int(targets[row]), nearest, int(query[row]), random)
        width = max((len(row["items"]) for row in rows), default=1)
        padded = {
            name: _pad([row.pop(name) for row in rows], width, fill)
            for name, fill in (
                ("items", -1),
                ("features", 0),
                ("shown", False),
                ("found_by", 0),
                ("weight", 0),
                ("together", False),
            )
        }
        label = padded["items"] == corpus.event_item[targets][:, None]
        bought = np.isin(corpus.columns.type_code[targets], _PURCHASES)
        return Candidates(**padded, label=label, bought=bought, query=query)

    def _find_queries(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """`[targets]`: text row of the search directly before each target, -1 if there is none."""
        before = self.corpus.context_end[targets] - 1
        return np.where(self.corpus.event_item[before] == NO_ITEM, self.corpus.event_text[before], -1)

    def _find_nearest(self, vectors: TargetVectors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`[targets, found]` each: items nearest to some vectors, and the nearest cold ones."""
        mask, cold = self.holdout.mask_seen, np.flatnonzero(self._index.is_cold)
        nearest = rank_catalogue(self.corpus, vectors, NEAREST_CANDIDATES, mask)
        return nearest, rank_catalogue(self.corpus, vectors, COLD_CANDIDATES, mask, cold)

    def _build_row(
        self, target: int, nearest: dict[str, NDArray[np.int64]], query: int, random: np.random.Generator
    ) -> dict[str, Any]:
        corpus, index = self.corpus, self._index
        asked = self._words.read_query(corpus.texts[query]) if query >= 0 else None
        history, related = self._read_history(target)
        statistics, popular = self._read_statistics(target)
        ranked, found_by = _unite(self.find_sources(target, nearest, history, related, popular, asked))
        together = list_moment_items(corpus, target)
        missed = np.setdiff1d(together, ranked)
        drawn = np.setdiff1d(random.integers(0, len(corpus.items), UNIFORM_ITEMS), np.append(ranked, together))
        items = np.concatenate([ranked, missed, drawn])
        rest = len(corpus.items) - len(ranked) - len(missed)
        weight = np.ones(len(items), dtype=np.float32)
        weight[len(items) - len(drawn) :] = rest / max(1, len(drawn))
        columns = CandidateColumns(
            items,
            self._categories[items],
            self._brands[items],
            statistics(items),
            index.is_cold[items],
            corpus.item_percentile[items],
            index.neighbours.select(items),
            self._words.items.select(items),
        )
        return {
            "items": items,
            "features": compute_candidate_features(columns, history, related, asked),
            "shown": np.arange(len(items)) < len(ranked),
            "found_by": np.append(found_by, np.zeros(len(items) - len(ranked), dtype=np.uint16)),
            "weight": weight,
            "together": np.isin(items, together),
        }

    def _read_history(self, target: int) -> tuple[HistorySummary, RelatedItems]:
        corpus = self.corpus
        context = slice(int(corpus.shopper_start[target]), int(corpus.context_end[target]))
        items = corpus.event_item[context]
        times = corpus.columns.time[context]
        history = summarise_history(
            np.where(items == NO_ITEM, NO_GROUP, items),
            np.where(items == NO_ITEM, NO_GROUP, self._categories[items]),
            np.where(items == NO_ITEM, NO_GROUP, self._brands[items]),
            corpus.columns.type_code[context],
            times,
            corpus.columns.price_percentile[context],
            float(corpus.columns.time[target]),
        )
        return history, self._relations.score_history(corpus.event_item[context], times)

    def _read_statistics(self, target: int) -> tuple[Any, NDArray[np.int64]]:
        """A function from items to their statistics as of a target, and the items that are popular then."""
        if self._recent is None:
            return lambda items: self._index.statistics[items], self._popular
        recent, index = self._recent, self._index
        recent.advance(float(self.corpus.columns.time[target]))

        def read(items: NDArray[np.int64]) -> NDArray[np.float32]:
            values = index.statistics[items]
            values[:, _RECENT_COLUMNS] = index.neighbours.select(items).average_of(recent.scale)
            return values

        return read, recent.find_popular(2 * POPULAR_CANDIDATES)

    def find_sources(
        self, target: int, nearest: dict[str, NDArray[np.int64]], history: HistorySummary, related: RelatedItems,
        popular: NDArray[np.int64], query: QueryWords | None,
    ) -> dict[str, NDArray[np.int64]]:  # fmt: skip
        """The items that each source gives to serving.

        Args:
            target: the event to foresee.
            nearest: the items of the sources that compare vectors.
            history: the shopper's latest events.
            related: where they lead.
            popular: items that are popular at the time, the most popular first.
            query: words of the search directly before the target; None without one.
        """
        is_cold = self._index.is_cold
        familiar = order_by_habit(history.items)
        # Relations and popularity know no cold items, so they must not find those that are treated as cold either.
        sources = {
            **{name: (rows, len(rows)) for name, rows in nearest.items()},
            "habit": (familiar, FAMILIAR_CANDIDATES),
            "popularity": (popular[~is_cold[popular]], POPULAR_CANDIDATES),
        }
        if query:
            named, _ = self._words.find(query, self._index.statistics[:, POPULARITY], WORD_CANDIDATES)
            sources["words"] = (named, WORD_CANDIDATES)
        for name, count in (RELATED_CANDIDATES_OF_SEARCH if query else RELATED_CANDIDATES).items():
            best = related.of(name).rows_by_score()
            sources[name] = (best[~is_cold[best]], count)
        masked = find_masked_items(self.corpus, target) if self.holdout.mask_seen else familiar[:0]
        return {
            name: (rows[~np.isin(rows, masked)] if len(masked) else rows)[:count]
            for name, (rows, count) in sources.items()
        }


def _unite(sources: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """The items of all sources, each once and ascending, and the bits of the sources that found each."""
    bits = [np.full(len(rows), 1 << SOURCES.index(name), dtype=np.uint16) for name, rows in sources.items()]
    items, place = np.unique(np.concatenate(list(sources.values())), return_inverse=True)
    found_by = np.zeros(len(items), dtype=np.uint16)
    np.bitwise_or.at(found_by, place, np.concatenate(bits))
    return items, found_by


def _number_groups(groups: list[Any]) -> NDArray[np.int64]:
    """Number the groups of items, `[items]`; `NO_GROUP` for an empty one."""
    numbers: dict[Any, int] = {}
    numbered = [numbers.setdefault(group, len(numbers)) if group else NO_GROUP for group in groups]
    return np.array(numbered, dtype=np.int64)


def _pad(rows: list[NDArray[Any]], width: int, fill: Any) -> NDArray[Any]:
    """`[rows, width, …]`; the list is emptied meanwhile, as the largest arrays are gigabytes."""
    padded = np.full((len(rows), width, *rows[0].shape[1:]), fill, dtype=rows[0].dtype)
    for place in range(len(rows) - 1, -1, -1):
        values = rows.pop()
        padded[place, : len(values)] = values
    return padded
