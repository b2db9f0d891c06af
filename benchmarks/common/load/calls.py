"""Calls as shops make them: visits over a release's items, some with a new query."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.load.generator import Call
from portrait.features.events import Item
from portrait.features.release import layout as release_layout
from portrait.features.text.normalisation import item_text
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from portrait.v1.text_service_pb2 import EncodeTextsRequest

HISTORY_EVENTS = 20
RECOMMEND_PATH = "/portrait.v1.RecommendationService/Recommend"
ENCODE_PATH = "/portrait.v1.TextService/EncodeTexts"
PROFILE_PATH = "/portrait.v1.ProfileService/GetProfile"


def make_mixed_calls(repository: Path, count: int, seed: int = 1) -> list[Call]:
    """Make a mix of calls: 70% recommendations, 20% profiles with embedding, 10% searches with words of their own.

    Args:
        repository: holds the release whose items are visited.
        count: how many calls.
        seed: other calls for another one.
    """
    rng, items = random.Random(seed), read_items(repository)
    makers = (*(7 * (_make_recommend_call,)), *(2 * (_make_profile_call,)), _make_search_call)
    return [makers[place % len(makers)](rng, items) for place in range(count)]


def make_recommend_calls(repository: Path, count: int, seed: int = 1) -> list[Call]:
    """Make calls for the ten best items, one for each visit."""
    rng, items = random.Random(seed), read_items(repository)
    return [_make_recommend_call(rng, items) for _ in range(count)]


def make_search_calls(repository: Path, count: int, seed: int = 1) -> list[Call]:
    """Make calls for recommendations with a query of its own words each, so that each needs the text encoder."""
    rng, items = random.Random(seed), read_items(repository)
    return [_make_search_call(rng, items) for _ in range(count)]


def read_item_texts(repository: Path) -> list[str]:
    """Read the distinct texts of a release's items, as the text encoder reads them."""
    told = [item_text(Item(**item)) for item in read_items(repository)]  # type: ignore[arg-type]
    return list(dict.fromkeys(told))


def make_encode_calls(texts: Sequence[str], texts_per_call: int) -> list[Call]:
    """Make calls that encode texts, in their order."""
    return [
        Call(ENCODE_PATH, EncodeTextsRequest(texts=texts[begin : begin + texts_per_call]).SerializeToString())
        for begin in range(0, len(texts), texts_per_call)
    ]


def read_items(repository: Path) -> list[dict[str, str]]:
    """Read the items of the newest release, as its file has them."""
    number = release_layout.list_releases(repository)[-1]
    lines = (
        (release_layout.release_folder(repository, number) / release_layout.ITEMS)
        .read_text(encoding="utf-8")
        .splitlines()
    )
    return [json.loads(line) for line in lines]


def _make_visit(rng: random.Random, items: list[dict[str, str]]) -> shopper_pb2.ShopperRef:
    seen = rng.choices(items, k=HISTORY_EVENTS)
    return shopper_pb2.ShopperRef(
        history={"events": [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": item["item_id"]} for item in seen]}
    )


def _make_recommend_call(rng: random.Random, items: list[dict[str, str]]) -> Call:
    request = RecommendRequest(shopper=_make_visit(rng, items), k=10)
    return Call(RECOMMEND_PATH, request.SerializeToString())


def _make_profile_call(rng: random.Random, items: list[dict[str, str]]) -> Call:
    request = GetProfileRequest(shopper=_make_visit(rng, items), fields={"paths": ["embedding", "interests"]})
    return Call(PROFILE_PATH, request.SerializeToString())


def _make_search_call(rng: random.Random, items: list[dict[str, str]]) -> Call:
    words = " ".join(item["title"] for item in rng.choices(items, k=2)).split()
    query = " ".join(rng.sample(words, min(len(words), 5))) + f" {rng.randrange(10**6)}"
    request = RecommendRequest(shopper=_make_visit(rng, items), query=query[:1000], k=10)
    return Call(RECOMMEND_PATH, request.SerializeToString())
