"""A workload for `shoppers.js`: `python clients/loadtest/workload.py SOURCE workload.json [--calls 2000]`.

SOURCE is a prepared data set, whose shoppers' visits are replayed up to random moments, or a model repository, over
whose items visits are made up. Histories go inline, without ids of shoppers or events, without times and without what
was typed: nothing of anybody is in the file but which items were looked at one after the other, and nothing is recorded
by the gateway. Queries are words of the catalogue's titles.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 50
"""Events of a history at most."""
MIX = (("recommend", 7), ("profile", 2), ("search", 1))
"""Kinds of calls, and how many of ten."""

Json = dict[str, Any]
Visit = Callable[[random.Random], list[Json]]


def workload(source: Path, count: int, seed: int) -> Json:
    """Calls in random order.

    Args:
        source: a prepared data set or a model repository.
        count: how many.
        seed: other calls for another one.

    Raises:
        FileNotFoundError: the source is neither.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    visit, titles = _recorded(source) if (source / "events.parquet").exists() else _made_up(source)
    kinds = chance.choices([kind for kind, _ in MIX], [share for _, share in MIX], k=count)
    return {"calls": [_call(kind, visit(chance), titles, chance) for kind in kinds]}


def _recorded(data: Path) -> tuple[Visit, list[str]]:
    """Visits of a prepared data set's shoppers, each up to a random moment."""
    import polars as pl

    events = pl.read_parquet(data / "events.parquet").filter(pl.col("item_id").is_not_null())
    by_shopper = events.sort("shopper_id", "sequence").group_by("shopper_id", maintain_order=True)
    visits = [list(zip(*columns, strict=True)) for _, *columns in by_shopper.agg("type", "item_id", "catalogue").rows()]

    def visit(chance: random.Random) -> list[Json]:
        whole = chance.choice(visits)
        end = chance.randrange(1, len(whole) + 1)
        return [
            {"type": f"EVENT_TYPE_{kind.upper()}", "item_id": item, "catalogue": catalogue}
            for kind, item, catalogue in whole[max(0, end - LONGEST) : end]
        ]

    return visit, pl.read_parquet(data / "items.parquet")["title"].to_list()


def _made_up(repository: Path) -> tuple[Visit, list[str]]:
    """Visits over the items of a repository's newest release."""
    releases = [int(path.parent.name) for path in repository.glob("releases/*/items.jsonl")]
    if not releases:
        wanted = "a prepared data set (events.parquet) nor a release (releases/*/items.jsonl)"
        raise FileNotFoundError(f"{repository} holds neither {wanted}")
    lines = (repository / "releases" / str(max(releases)) / "items.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines]

    def visit(chance: random.Random) -> list[Json]:
        # Ten events on average, most visits shorter.
        length = min(LONGEST, 1 + int(chance.expovariate(0.1)))
        return [
            {"type": "EVENT_TYPE_VIEW", "item_id": item["item_id"], "catalogue": item["catalogue"]}
            for item in chance.choices(items, k=length)
        ]

    return visit, [item["title"] for item in items]


def _call(kind: str, events: list[Json], titles: list[str], chance: random.Random) -> Json:
    shopper = {"history": {"events": events}}
    if kind == "profile":
        asked: Json = {"shopper": shopper, "fields": "embedding,interests,keywords"}
        return {"kind": kind, "method": "portrait.v1.ProfileService/GetProfile", "request": asked}
    request: Json = {"shopper": shopper, "k": 10}
    if kind == "search":
        words = chance.choice(titles).split()
        request["query"] = " ".join(words[: chance.randrange(1, 5)])[:1000]
    return {"kind": kind, "method": "portrait.v1.RecommendationService/Recommend", "request": request}


def main(arguments: list[str]) -> int:
    """Write a workload; returns 0, or 2 if the source is none."""
    parser = argparse.ArgumentParser(prog="workload.py", description=__doc__)
    parser.add_argument("source", type=Path, help="prepared data set, or model repository")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--calls", type=int, default=2_000, help="how many; they are repeated")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    try:
        made = workload(chosen.source, chosen.calls, chosen.seed)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    chosen.out.write_text(json.dumps(made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
