import asyncio
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import tiny_release

from portrait.features.text.tokenizer import MAX_TOKENS, TextTokenizer
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import DeadlineExceeded, Unavailable
from portrait.server.inference.texts import SHAPES, TextCache, TextEncoder
from portrait.server.inference.tokeniser import Tokeniser
from portrait.server.inference.triton import TritonModels
from portrait.server.release.release import Release

CACHE_BYTES = 1 << 20
_SIGNS = {"embedding": 1, "sentence_embedding": -1}


class Models:
    """Stands for Triton: a text's embedding is the sum of its tokens, its sentence embedding minus that."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.batches: list[tuple[int, ...]] = []
        self.texts = 0
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def run(
        self,
        model: str,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, tuple[int, int]],
        deadline: float | None,
    ) -> dict[str, NDArray[np.float32]]:
        self.batches.append(inputs["input_ids"].shape)
        self.texts += len(inputs["input_ids"])
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        sums = (inputs["input_ids"] * inputs["attention_mask"]).sum(1, keepdims=True).astype(np.float32)
        return {name: np.repeat(_SIGNS[name] * sums, shape[1], axis=1) for name, shape in outputs.items()}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    repository = tmp_path_factory.mktemp("repository")
    tiny_release.build(repository)
    return Release.load(repository, 1)


@pytest.fixture
def models(release: Release) -> Models:
    return Models(release.dimension)


@pytest.fixture
def encoder(release: Release, models: Models, monkeypatch: pytest.MonkeyPatch) -> TextEncoder:
    monkeypatch.setattr(asyncio, "to_thread", _call_at_once)
    return TextEncoder(cast(TritonModels, models), release, CACHE_BYTES, instances=1)


async def _call_at_once(function: Callable[..., object], *arguments: object) -> object:
    """Stand for a thread that is done at once."""
    return function(*arguments)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_texts_come_back_in_their_order_whatever_their_lengths(encoder: TextEncoder, release: Release) -> None:
    texts = ["red lamp", "a " * 50, "rug", "red lamp", "  RED\tlamp ", "红色台灯"]
    embeddings = await encoder.encode(texts, None)
    tokens = release.tokenizer.encode([" ".join(text.split()) for text in texts])
    assert embeddings[:, 0].tolist() == [sum(row) for row in tokens]


async def test_nothing_to_encode_gives_no_rows(encoder: TextEncoder, release: Release) -> None:
    assert (await encoder.encode([], None)).shape == (0, release.dimension)


async def test_a_text_is_encoded_once_and_remembered(encoder: TextEncoder, models: Models) -> None:
    await asyncio.gather(*(encoder.encode(["red lamp", "red  lamp", f"lamp {place}"], None) for place in range(8)))
    assert models.texts == 9
    hits = encoder.cache.hits
    await encoder.encode(["red lamp"], None)
    assert models.texts == 9
    assert encoder.cache.hits == hits + 1


async def test_a_caller_that_leaves_does_not_take_the_text_from_others(encoder: TextEncoder, models: Models) -> None:
    models.hold = asyncio.Event()
    leaves, stays = (asyncio.create_task(encoder.encode(["red lamp"], None)) for _ in range(2))
    await settle()
    leaves.cancel()
    models.hold.set()
    assert (await stays).shape[0] == 1
    assert models.texts == 1


async def test_a_text_that_nobody_waits_for_is_not_encoded(encoder: TextEncoder, models: Models) -> None:
    models.hold = asyncio.Event()
    busy = [
        asyncio.create_task(encoder.encode([text], None)) for text in ("red", "red blue green black rug lamp pan a b")
    ]
    await settle()
    assert len(models.batches) == 1
    leaves = asyncio.create_task(encoder.encode(["rug"], None))
    await settle()
    leaves.cancel()
    await settle()
    again = asyncio.create_task(encoder.encode(["rug"], None))
    await settle()
    models.hold.set()
    await asyncio.gather(*busy, again)
    assert models.texts == 3


async def test_who_has_time_left_is_not_failed_by_the_deadline_of_another(encoder: TextEncoder, models: Models) -> None:
    models.hold = asyncio.Event()
    loop = asyncio.get_running_loop()
    busy = [
        asyncio.create_task(encoder.encode([text], None)) for text in ("red", "red blue green black rug lamp pan a b")
    ]
    await settle()
    deadlines = (0.2, 60.0, 0.2)  # the first begins, the others join
    waits = []
    for seconds in deadlines:
        waits.append(asyncio.create_task(encoder.encode(["rug"], loop.time() + seconds)))
        await settle()
    await asyncio.sleep(0.2)
    models.hold.set()
    first, patient, last = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(first, DeadlineExceeded)
    assert isinstance(patient, np.ndarray)
    assert isinstance(last, DeadlineExceeded)
    await asyncio.gather(*busy)


async def test_a_failure_is_told_and_not_remembered(encoder: TextEncoder, models: Models) -> None:
    models.failure = Unavailable("down", 1.0, ErrorReason.MODELS_UNAVAILABLE)
    with pytest.raises(Unavailable):
        await encoder.encode(["red lamp"], None)
    models.failure = None
    assert (await encoder.encode(["red lamp"], None)).shape[0] == 1


async def test_batches_keep_to_the_budget_and_to_few_shapes(encoder: TextEncoder, models: Models) -> None:
    await encoder.encode([" ".join(["lamp"] * (1 + place % 60) + [str(place)]) for place in range(1500)], None)
    assert models.texts == 1500
    assert set(models.batches) <= set(SHAPES.all)


@pytest.mark.parametrize("length", SHAPES.lengths)
def test_a_full_batch_fills_its_budget(length: int) -> None:
    assert 0.9 * SHAPES.budget <= SHAPES.max_rows(length) * length <= SHAPES.budget


@given(st.integers(1, MAX_TOKENS))
def test_a_text_is_padded_by_a_third_at_most(length: int) -> None:
    padded = SHAPES.padded_length(length)
    assert length <= padded <= max(8, 4 * length / 3)


async def test_texts_that_come_while_others_are_tokenised_are_read_together(release: Release) -> None:
    read: list[int] = []

    class Tokenizer:
        def encode(self, texts: list[str]) -> list[list[int]]:
            read.append(len(texts))
            return release.tokenizer.encode(texts)

    tokeniser = Tokeniser(cast(TextTokenizer, Tokenizer()))
    texts = [["red" * 500, f"lamp {place}"] for place in range(5)]
    waits = [asyncio.create_task(tokeniser.token_ids(each)) for each in texts]
    waits[3].cancel()
    found = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(found.pop(3), asyncio.CancelledError)
    assert found == [release.tokenizer.encode(texts[place]) for place in (0, 1, 2, 4)]
    assert sum(read) == 8
    assert len(read) < 4


async def test_an_error_of_the_tokeniser_reaches_all_who_wait() -> None:
    class Tokenizer:
        def encode(self, texts: list[str]) -> list[list[int]]:
            raise ValueError("not this text")

    tokeniser = Tokeniser(cast(TextTokenizer, Tokenizer()))
    for length in (1, 2_000):
        found = await asyncio.gather(*(tokeniser.token_ids([length * text]) for text in "abc"), return_exceptions=True)
        assert list(map(str, found)) == ["not this text"] * 3


async def test_background_work_does_not_hold_up_a_text_that_somebody_waits_for(
    encoder: TextEncoder, models: Models
) -> None:
    models.hold = asyncio.Event()

    def encode(text: str, background: bool) -> "asyncio.Task[NDArray[np.float32]]":
        set_caller_key(CallerKey("a", background))
        return asyncio.create_task(encoder.encode([text], None))

    busy = encode("red blue", False)
    await settle()
    nightly = encode("rug", True)
    await settle()
    page = encode("rug", False)
    await settle()
    models.hold.set()
    assert np.array_equal(*await asyncio.gather(nightly, page))
    await busy


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = TextCache(3_000)
    vector = np.zeros(100, dtype=np.float32)
    for text in ("a", "b", "c"):
        cache.put(text, vector)
    cache.get("a")
    cache.put("d", vector)
    assert [text for text in "abcd" if cache.get(text) is not None] == ["a", "c", "d"]


def test_the_cache_keeps_its_bound_of_memory() -> None:
    limit = 4 << 20
    cache = TextCache(limit)
    tracemalloc.start()
    for begin in range(0, 40_000, 200):
        batch = np.ones((200, 96), dtype=np.float32)
        for row in range(200):
            cache.put(f"a text of some length, number {begin + row}", batch[row])
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 * limit < cache.bytes <= limit
    assert used <= 1.05 * limit


def test_a_cache_without_room_remembers_nothing() -> None:
    cache = TextCache(0)
    cache.put("a", np.zeros(4, dtype=np.float32))
    assert len(cache) == 0
    assert cache.bytes == 0


def test_a_cache_copies_another_as_far_as_there_is_room() -> None:
    whole, small = TextCache(1 << 20), TextCache(2_000)
    vector = np.zeros(100, dtype=np.float32)
    for text in ("a", "b", "c"):
        whole.put(text, vector)
    small.copy_from(whole)
    assert [text for text in "abc" if small.peek(text) is not None] == ["b", "c"]
    small.copy_from(whole)
    assert small.bytes == sum(np.zeros(100, dtype=np.float32).nbytes + 504 for _ in range(2))


async def test_both_outputs_of_a_text_come_from_one_batch_and_are_remembered_apart(
    encoder: TextEncoder, models: Models, release: Release
) -> None:
    models.hold = asyncio.Event()
    first = asyncio.create_task(encoder.encode(["something else"], None))
    await settle()
    embedding = asyncio.create_task(encoder.encode(["red lamp"], None))
    sentence = asyncio.create_task(encoder.encode(["red lamp"], None, "sentence_embedding"))
    await settle()
    models.hold.set()
    await asyncio.gather(first, embedding, sentence)
    count = len(models.batches)
    for output, vectors in (("embedding", await embedding), ("sentence_embedding", await sentence)):
        np.testing.assert_array_equal(vectors, await encoder.encode(["red lamp"], None, output))
    assert len(models.batches) == count
    assert (await sentence).shape == (1, release.manifest.sentence_dimension)
    assert (await sentence)[0, 0] == -(await embedding)[0, 0]


@pytest.mark.parametrize("same", [True, False])
async def test_what_is_remembered_outlives_a_release_whose_encoder_is_the_same(
    encoder: TextEncoder, models: Models, release: Release, same: bool
) -> None:
    await encoder.encode(["red lamp", "rug"], None)
    hashes = dict(release.manifest.hashes)
    if not same:
        hashes = {name: "0" * 64 if name.endswith("model.onnx") else told for name, told in hashes.items()}
    later = replace(release, manifest=replace(release.manifest, hashes=hashes))
    after = TextEncoder(cast(TritonModels, models), later, CACHE_BYTES, instances=1)
    after.take_over(encoder)
    await after.encode(["rug", "red  lamp"], None)
    assert models.texts == (2 if same else 4)
