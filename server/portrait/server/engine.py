"""The engine: all that serves one release in a process: its encoders, its ranker and its current catalogues.

`recommendation`, `profiles` and `explanation` compute their results with it. None of them imports gRPC or the stores.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, Item
from portrait.features.generators import run_to_completion
from portrait.features.items.sentence_vectors import average_fields, list_fields
from portrait.features.release import layout as release_layout
from portrait.features.text.normalisation import item_text
from portrait.server.batching.batcher import Batcher
from portrait.server.catalogue.candidate_set import CandidateSet, candidates_from_text
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.snapshot import CatalogueSnapshots
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound
from portrait.server.inference.encoders import Ranker
from portrait.server.inference.fallback import Fallback
from portrait.server.inference.liveness import ModelStatus
from portrait.server.inference.probes import probes
from portrait.server.inference.shoppers import ShopperEncoder
from portrait.server.inference.texts import TextEncoder
from portrait.server.inference.traits import TraitHeads
from portrait.server.inference.triton import TritonModels, UnhealthyModel
from portrait.server.inference.triton_server import READY_SECONDS
from portrait.server.release.release import OpenIndex, Release
from portrait.server.runtime.cooperation import run_in_steps
from portrait.server.sensitivity.release_topics import ReleaseTopics
from portrait.server.sensitivity.topic_file import NO_TOPICS, TopicPolicy
from portrait.server.triton.configuration import instances

T = TypeVar("T")

SHORT_ROWS = 20_000
"""Work over more rows runs in a thread, so that it does not block the event loop."""
FEW_ITEMS = 16
"""More items are converted and compared in a thread: each may have tens of kilobytes of text."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Embeddings of texts, and the release that made them."""

    embeddings: NDArray[np.float32]
    """`[texts, dimension]`, unit length."""
    release: int


class Engine:
    """Serves one release.

    Args:
        release: the release to serve.
        models: the graphs of the release, in Triton.
        catalogues: the items of the release, and those changed since.
        text_cache_bytes: memory for embeddings of texts.
        text_instances: assumed instances of the text encoder in Triton, until `count_instances` asks Triton.
        topics: what of a shopper is withheld; None withholds nothing.
    """

    def __init__(
        self,
        release: Release,
        models: TritonModels,
        catalogues: Catalogues,
        text_cache_bytes: int,
        text_instances: int,
        topics: ReleaseTopics | None = None,
    ) -> None:
        self.release = release
        self.topics = topics or ReleaseTopics(NO_TOPICS, release)
        self.texts = TextEncoder(models, release, text_cache_bytes, text_instances)
        self._models = models
        self.catalogues = catalogues
        self.shoppers = ShopperEncoder(models, release, self.texts)
        self.ranker = Ranker(models)
        trait_count = _count_trained_traits(release)
        self.heads = TraitHeads(models, trait_count) if trait_count else None
        self.fallback = Fallback()
        self.index_fault: str | None = None
        """Why the nearest items can't be searched, by the last `check_index`; None if they can."""

    @property
    def snapshots(self) -> CatalogueSnapshots:
        """Immutable snapshots of all catalogues; a request takes them once, so that changes do not disturb it."""
        return self.catalogues.now()

    @property
    def batchers(self) -> dict[str, Batcher[Any, Any]]:
        """The batcher of each graph."""
        return {
            "text_encoder": self.texts.batcher,
            "profile_encoder": self.shoppers.profiles.batcher,
            "ranker": self.ranker.batcher,
            **({release_layout.TRAIT_HEADS: self.heads.batcher} if self.heads else {}),
        }

    @classmethod
    async def open(
        cls,
        repository: Path,
        release: int,
        triton_urls: Sequence[str],
        text_cache_bytes: int,
        is_triton_running: Callable[[], bool] | None = None,
        hedge_seconds: float | None = None,
        open_remote_index: OpenIndex | None = None,
        policy: TopicPolicy = NO_TOPICS,
    ) -> "Engine":
        """Open a release whose graphs are loaded in one or more Triton servers.

        Args:
            repository: the model repository.
            release: its number.
            triton_urls: host:port of the gRPC endpoint of each server, or unix:PATH of its socket.
            text_cache_bytes: memory for embeddings of texts.
            is_triton_running: tells whether Triton's process runs; None where that is not known.
            hedge_seconds: a call without an answer for so long goes to a second server as well; None for never.
            open_remote_index: opens the index in which another process searches the nearest items; None for none.
            policy: the sensitive topics.

        Raises:
            ReleaseError: the release is missing or damaged, or not in that index.
            Unavailable: that index does not answer.
            TritonError: the text encoder has no configuration, or none that Triton knows.
        """
        loaded = await asyncio.to_thread(Release.load, repository, release, open_remote_index)
        catalogues = await asyncio.to_thread(Catalogues, loaded)
        topics = await asyncio.to_thread(ReleaseTopics, policy, loaded)
        models = TritonModels(
            triton_urls,
            release,
            release_layout.list_models(repository, release),
            probes(loaded.dimension, loaded.manifest.sentence_dimension, _count_trained_traits(loaded)),
            is_triton_running,
            hedge_seconds,
        )
        return cls(loaded, models, catalogues, text_cache_bytes, instances(repository, "text_encoder"), topics)

    async def close(self) -> None:
        """Close the connection to Triton."""
        await self._models.close()

    async def is_ready(self, seconds: float = READY_SECONDS) -> bool:
        """Tell whether all graphs of the release are loaded and answer within some seconds."""
        return await self._models.is_ready(seconds)

    async def check_models(self, seconds: float) -> ModelStatus:
        """Return the status of the graphs; waits for at most some seconds."""
        return await self._models.check_models(seconds)

    @property
    def triton(self) -> TritonModels:
        """The graphs of the release in Triton."""
        return self._models

    async def check_index(self) -> None:
        """Check whether another process that searches the nearest items answers, and set `index_fault`."""
        if self.release.nearest.is_remote:
            self.index_fault = await asyncio.to_thread(self.release.nearest.find_fault)

    def pop_unhealthy(self) -> list[UnhealthyModel]:
        """List the graphs whose process in Triton stays unhealthy, and forget them: each finding is reported once."""
        return self._models.pop_unhealthy()

    async def count_instances(self) -> None:
        """Ask Triton how many instances of each graph it runs on all devices, and set the batchers accordingly.

        Raises:
            TritonError: Triton does not answer, or has not loaded a graph.
        """
        counted = await self._models.count_instances()
        for model, batcher in self.batchers.items():
            batcher.set_instances(counted[model])

    async def encode_texts(self, texts: Sequence[str], *, deadline: float | None) -> Encoded:
        """Encode texts.

        Args:
            texts: at least one.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        return Encoded(await self.texts.encode(texts, deadline), self.release.number)

    async def upsert_items(self, catalogue: str, items: Sequence[Item], *, deadline: float | None) -> None:
        """Add or replace items; they can be recommended when this returns. The first item creates a catalogue.

        Args:
            catalogue: the name of the catalogue.
            items: if two have the same id, the last one counts.
            deadline: `loop.time()` at which the caller's time is up; None if never.
        """
        self.put_items(catalogue, await self.encode_items(catalogue, items, deadline))

    def put_items(self, catalogue: str, items: CandidateSet) -> None:
        """Add or replace encoded items; they can be recommended when this returns."""
        self.catalogues.upsert(catalogue, items)

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there.

        Raises:
            NotFound: there is no such catalogue.
        """
        return self.catalogues.delete(catalogue, item_ids)

    def get_item(self, catalogue: str, item_id: str) -> Item:
        """Return one item.

        Raises:
            NotFound: there is no such catalogue or item.
        """
        item = self.catalogues[catalogue].now.item(item_id)
        if item is None:
            raise NotFound("item_id", "the catalogue holds no such item", ErrorReason.ITEM_UNKNOWN)
        return item

    async def encode_items(self, catalogue: str, items: Sequence[Item], deadline: float | None) -> CandidateSet:
        """Encode items by their texts. The search for cold-start neighbours reads all vectors of the release."""
        texts = await _read_each(items, item_text)
        words = await self.texts.encode(texts, deadline)
        sentences = None if catalogue == DEFAULT_CATALOGUE else await self._encode_sentences(items, deadline)
        if len(self.release.items) * len(items) <= SHORT_ROWS:
            return candidates_from_text(self.release, catalogue, items, words, sentences)
        return await asyncio.to_thread(candidates_from_text, self.release, catalogue, items, words, sentences)

    async def _encode_sentences(self, items: Sequence[Item], deadline: float | None) -> NDArray[np.float32]:
        """`[items, hidden]`: the sentence vectors of items."""
        fields = await _read_each(items, list_fields)
        embeddings = await self.texts.encode([*chain.from_iterable(fields)], deadline, "sentence_embedding")
        return average_fields(embeddings, [*map(len, fields)])


def _count_trained_traits(release: Release) -> int:
    """Count the outputs of `trait_heads`: the declared traits that the release has learnt."""
    return sum(not trait.absent for trait in release.traits)


async def _read_each(items: Sequence[Item], read: Callable[[Item], T]) -> list[T]:
    """Read something of each item; of many items in steps, between which other calls go on."""
    work = _read_in_steps(items, read)
    return await run_in_steps(work) if len(items) > FEW_ITEMS else run_to_completion(work)


def _read_in_steps(items: Sequence[Item], read: Callable[[Item], T]) -> Generator[None, None, list[T]]:
    found = []
    for item in items:
        yield
        found.append(read(item))
    return found
