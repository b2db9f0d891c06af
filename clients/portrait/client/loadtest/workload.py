"""The calls of a load test, as a file for `shoppers.js`."""

import json
import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from portrait.client.loadtest.traffic import Json, Traffic

KINDS = ("recommend", "profile", "search", "record")
DEFAULT_MIX = {"recommend": 7.0, "profile": 2.0, "search": 1.0}
"""Default shares of the kinds of calls."""
_TEST_SHOPPERS = 1_000
"""Number of made-up shoppers whose events are recorded: no real history is changed."""
_MAX_QUERY = 1_000
"""Maximum length of a query in characters, by the contract."""


class MixError(Exception):
    """A mix of calls is invalid."""


def parse_mix(text: str) -> dict[str, float]:
    """Read `recommend=7,search=1` as shares.

    Raises:
        MixError: the text has another form.
    """
    mix = {}
    for part in text.split(","):
        kind, _, share = (each.strip() for each in part.partition("="))
        if kind not in KINDS:
            raise MixError(f"{kind!r} is not one of {', '.join(KINDS)}; write KIND=SHARE,…")
        with suppress(ValueError):
            mix[kind] = float(share)
        if not 0.0 <= mix.get(kind, -1.0) < float("inf"):
            raise MixError(f"{part.strip()!r} has no share; write {kind}=SHARE, with a number from 0")
    if not sum(mix.values()) > 0.0:
        raise MixError("all shares are 0")
    return mix


def make_workload(traffic: Traffic, mix: Mapping[str, float], count: int, seed: int) -> Json:
    """Make calls in random order.

    Args:
        traffic: visits, queries and ids to repeat.
        mix: share of each kind of call.
        count: number of calls.
        seed: seed of the random order.

    Raises:
        MixError: the traffic lacks the data that a kind of the mix needs.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    kinds = [kind for kind in KINDS if mix.get(kind)]
    for kind in kinds:
        if missing := _missing_input(kind, traffic):
            raise MixError(f"calls of the kind {kind!r} need {missing}")
    chosen = chance.choices(kinds, [mix[kind] for kind in kinds], k=count)
    return {"calls": [_CALLS[kind](traffic, chance) | {"kind": kind} for kind in chosen]}


def write_workload(workload: Json, out: Path) -> None:
    """Write a workload atomically, readable by its user only: it may name shoppers.

    Raises:
        OSError: the file can't be written.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(workload, file)
        part.replace(out)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _missing_input(kind: str, traffic: Traffic) -> str:
    if kind == "record":
        return "" if traffic.visit else "SOURCE, whose events they repeat"
    if not (traffic.visit or traffic.shopper_ids):
        return "SOURCE or --shopper-ids"
    return "--queries FILE, as SOURCE has no titles" if kind == "search" and not traffic.queries else ""


def _draw_shopper(traffic: Traffic, chance: random.Random) -> Json:
    if traffic.shopper_ids:
        return {"shopper_id": chance.choice(traffic.shopper_ids)}
    assert traffic.visit is not None
    return {"history": {"events": traffic.visit(chance)}}


def _draw_profile_call(traffic: Traffic, chance: random.Random) -> Json:
    request = {"shopper": _draw_shopper(traffic, chance), "fields": "embedding,interests,keywords"}
    return {"method": "portrait.v1.ProfileService/GetProfile", "request": request}


def _draw_recommend_call(traffic: Traffic, chance: random.Random) -> Json:
    request = {"shopper": _draw_shopper(traffic, chance), "k": 10}
    return {"method": "portrait.v1.RecommendationService/Recommend", "request": request}


def _draw_search_call(traffic: Traffic, chance: random.Random) -> Json:
    call = _draw_recommend_call(traffic, chance)
    call["request"]["query"] = chance.choice(traffic.queries)[:_MAX_QUERY]
    return call


def _draw_record_call(traffic: Traffic, chance: random.Random) -> Json:
    assert traffic.visit is not None
    shopper_id = f"loadtest-{chance.randrange(_TEST_SHOPPERS)}"
    latest = traffic.visit(chance)[-1]  # ids and times are set when the call is sent
    return {
        "method": "portrait.v1.EventService/RecordEvents",
        "request": {"events": [{"shopper_id": shopper_id, "event": latest}]},
    }


_CALLS: dict[str, Callable[[Traffic, random.Random], Json]] = {
    "recommend": _draw_recommend_call,
    "profile": _draw_profile_call,
    "search": _draw_search_call,
    "record": _draw_record_call,
}
