"""Shards of shoppers, and plans of builds."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import run_portrait

from portrait.server.audiences.build_plan import MAX_SHARDS, WHOLE, BuildPlan, Shard


@given(st.text(), st.integers(1, MAX_SHARDS))
def test_every_shopper_is_in_one_shard(shopper_id: str, count: int) -> None:
    assert sum(Shard(number, count).holds(shopper_id) for number in range(1, count + 1)) == 1
    assert WHOLE.holds(shopper_id)


def test_shards_have_about_as_many_shoppers_each() -> None:
    found = [sum(Shard(number, 4).holds(f"shopper-{each}") for each in range(4_000)) for number in range(1, 5)]
    assert sum(found) == 4_000
    assert min(found) > 900


@pytest.mark.parametrize("text", ["1/1", "2/4", f"{MAX_SHARDS}/{MAX_SHARDS}"])
def test_a_shard_is_read_as_it_is_written(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1/1001", "1/99999", "１/２"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is no shard, which is NUMBER/COUNT")):
        Shard.parse(text)


def test_the_command_refuses_a_wrong_shard() -> None:
    ended = run_portrait("build-audience-table", "--shard", "3/2")
    assert ended.code == 2
    assert "'3/2' is no shard" in ended.stderr


def test_a_build_goes_on_with_no_part_of_other_columns(tmp_path: Path) -> None:
    plan = BuildPlan(None, 0, 9, None, "state", columns="shopper trait")
    plan.write(tmp_path, ["ann"])
    assert BuildPlan.read(tmp_path) == (plan, ["ann"])
    assert plan.is_continued_by(dataclasses.replace(plan, last_arrival=8))
    [path] = [each for each in tmp_path.iterdir() if "columns" in each.read_text(encoding="utf-8")]
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["columns"]  # as an earlier version wrote it
    path.write_text(json.dumps(content), encoding="utf-8")
    before = BuildPlan.read(tmp_path)
    assert before is not None
    assert not plan.is_continued_by(before[0])
