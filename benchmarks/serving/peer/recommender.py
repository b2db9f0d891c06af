"""A recommender in one process: the gateway's features, graphs and search, and nothing else.

It has no catalogue changes, filters, consent, stored histories, releases to swap, admission, or explanations. So it is
the least that a recommendation costs with these graphs and these features: what the gateway is compared with, by
itself and within servers that a good engineer writes in a day.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.common.encoders import encode_texts, open_openvino_encoder
from portrait.features.candidates.candidate_features import CandidateColumns, compute_candidate_features
from portrait.features.candidates.history_summary import NO_GROUP, HistorySummary, summarise_history
from portrait.features.candidates.probabilities import limit_total
from portrait.features.candidates.relations import RelatedItems
from portrait.features.candidates.sources import (
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    POPULAR_CANDIDATES,
    RELATED_CANDIDATES,
    RELATED_CANDIDATES_OF_SEARCH,
    WORD_CANDIDATES,
    order_by_habit,
)
from portrait.features.events import Event, EventType
from portrait.features.histories.history_arrays import (
    build_event_columns,
    encode_history,
    find_encoded_slots,
    pad_histories,
    pool_slots,
)
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Want
from portrait.features.search.largest import find_largest
from portrait.features.search.word_index import QueryWords
from portrait.features.text.normalisation import normalise_text
from portrait.server.release.release import Release
from portrait.v1.event_pb2 import Event as EventMessage
from portrait.v1.item_pb2 import Item, RankedItem
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Recommender:
    """Recommends items of a release's default catalogue to shoppers whose views are in the request.

    Args:
        repository: model repository, of which the newest release is served.
        threads: of each graph, of the text encoder, and of the search.
    """

    def __init__(self, repository: Path, threads: int = 1) -> None:
        faiss.omp_set_num_threads(threads)
        number = release_layout.list_releases(repository)[-1]
        self._release = Release.load(repository, number)
        self._run_profile_encoder = _open_graph(repository, "profile_encoder", number, threads)
        self._run_ranker = _open_graph(repository, "ranker", number, threads)
        path = release_layout.model_file(repository, "text_encoder", number)
        self._text_encoder = open_openvino_encoder(path, threads)
        self._all = bits.pack_rows(np.ones(len(self._release.items), dtype=bool))
        self._cold_rows = np.flatnonzero(self._release.is_cold)
        self._cold_vectors = np.asarray(self._release.vectors[self._cold_rows], dtype=np.float32)

    def recommend(self, request: RecommendRequest) -> RecommendResponse:
        """Recommend the `k` best items.

        Args:
            request: a shopper with an inline history of views, `k`, and a query or none; nothing else is read.
        """
        now, words = time.time(), self._read_query(request.query)
        events = [_read_event(message) for message in request.shopper.history.events]
        if words is not None:
            events.append(Event("", EventType.SEARCH, datetime.fromtimestamp(now, UTC), query=request.query))
        rows = np.array([self._release.row_of(event) for event in events], dtype=np.int64)
        query = self._encode_query(request.query) if words is not None else self._nothing
        columns = build_event_columns(events, lambda _: math.nan)
        slots = find_encoded_slots(columns)
        vectors = np.where((rows >= 0)[:, None], self._release.vectors[rows], np.float32(0)).astype(np.float32)
        if words is not None:
            vectors[-1] = query
        pooled = pool_slots(vectors[slots[0] :], slots - slots[0])
        arrays = pad_histories([encode_history(columns, slots, now)], len(slots))
        profile = self._run_profile_encoder({"event_embedding": pooled[None], **vars(arrays)})["profile"][0]
        history = self._summarise(rows, columns.type_code, columns.time, now)
        related = self._release.relations.score_history(rows, columns.time)
        chosen = self._find_candidates(profile, query, words, history, related, request.k)
        features = self._compute_features(chosen, history, related, words)
        candidates = self._release.vectors[chosen].astype(np.float32, copy=False)
        inputs = {
            "profile": profile[None], "query_embedding": query[None],
            "profile_similarity": (candidates @ profile)[None], "query_similarity": (candidates @ query)[None],
            "candidate_features": features[None], "mask": np.ones((1, len(chosen)), dtype=np.int64),
        }  # fmt: skip
        return self._answer(request.k, chosen, self._run_ranker(inputs), len(request.shopper.history.events))

    @property
    def _nothing(self) -> Array:
        return np.zeros(self._release.dimension, dtype=np.float32)

    def _read_query(self, text: str) -> QueryWords | None:
        return self._release.words.read_query(text) if normalise_text(text) else None

    def _encode_query(self, text: str) -> Array:
        vector: Array = encode_texts(self._text_encoder, self._release.tokenizer, [normalise_text(text)])[0]
        return vector

    def _summarise(
        self, rows: Rows, types: NDArray[np.int64], times: NDArray[np.float64], now: float
    ) -> HistorySummary:
        columns, unknown = self._release.items.columns, np.full(len(rows), np.nan)
        paths, brands = (np.where(rows >= 0, codes[rows], NO_GROUP) for codes in (columns.path, columns.brand))
        return summarise_history(rows, paths, brands, types, times, unknown, now)

    def _find_candidates(
        self, profile: Array, query: Array, words: QueryWords | None, history: HistorySummary, related: RelatedItems,
        k: int,
    ) -> Rows:  # fmt: skip
        release = self._release
        by_popularity, is_cold = release.by_popularity, release.is_cold
        popular = by_popularity[: 64 * POPULAR_CANDIDATES]
        found = [popular[~is_cold[popular]][:POPULAR_CANDIDATES]]
        nearest = [Want(max(NEAREST_CANDIDATES, k), self._all, 1.0)]
        for vector in (profile, query):
            if vector.any():
                found += [rows for rows, _ in release.nearest.search_several(vector, nearest)]
                found.append(self._find_cold(vector))
        if words is not None:
            found.append(release.words.find(words, release.popularity, max(WORD_CANDIDATES, k), self._all)[0])
        for name, count in (RELATED_CANDIDATES if words is None else RELATED_CANDIDATES_OF_SEARCH).items():
            rows = related.of(name).rows_by_score()
            found.append(rows[~is_cold[rows]][:count])
        found.append(order_by_habit(history.items)[:FAMILIAR_CANDIDATES])
        return np.unique(np.concatenate(found))

    def _find_cold(self, vector: Array) -> Rows:
        count = min(COLD_CANDIDATES, len(self._cold_rows))
        scores = (self._cold_vectors @ vector)[None]
        return self._cold_rows[find_largest(scores, count)[0]] if count else self._cold_rows

    def _compute_features(
        self, chosen: Rows, history: HistorySummary, related: RelatedItems, words: QueryWords | None
    ) -> Array:
        release, items = self._release, self._release.items
        columns = CandidateColumns(
            chosen,
            items.columns.path[chosen].astype(np.int64),
            items.columns.brand[chosen].astype(np.int64),
            release.statistics[chosen],
            release.is_cold[chosen],
            items.columns.percentile[chosen],
            release.neighbours.select(chosen),
            release.words.items.select(chosen) if words else None,
        )
        return compute_candidate_features(columns, history, related, words)

    def _answer(self, k: int, chosen: Rows, scores: Mapping[str, Array], events: int) -> RecommendResponse:
        score, click = scores["score"][0], scores["click"][0]
        total = np.asarray(click.sum())
        click, purchase = limit_total(click, total), limit_total(scores["purchase"][0], total)
        best = np.argsort(-score, kind="stable")[:k].tolist()
        ranked = [
            RankedItem(
                item=self._make_item(int(chosen[place])),
                score=score[place],
                click_probability=click[place],
                purchase_probability=purchase[place],
            )
            for place in best
        ]
        return RecommendResponse(items=ranked, release=self._release.number, event_count=events)

    def _make_item(self, row: int) -> Item:
        item = self._release.items[row]
        return Item(
            item_id=item.item_id, title=item.title, category_path=item.category_path, brand=item.brand or "",
            attributes=item.attributes, price=item.price or None,
        )  # fmt: skip


def _read_event(message: EventMessage) -> Event:
    time = datetime.fromtimestamp(message.time.seconds, UTC) if message.HasField("time") else None
    return Event(message.event_id, EventType.VIEW, time, message.item_id)


def _open_graph(
    repository: Path, model: str, release: int, threads: int
) -> Callable[[Mapping[str, NDArray[np.generic]]], dict[str, Array]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = release_layout.model_file(repository, model, release)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names: Sequence[str] = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))
