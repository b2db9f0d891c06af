"""Files of recorded calls: those of a load test are read, and what is wrong is named with the call and the limit."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.command_line import run_portrait

from portrait.server.rule_preview.calls import MAX_CALLS, CallsError, read_calls
from portrait.v1.recommendation_service_pb2 import RecommendRequest

RECOMMEND = "portrait.v1.RecommendationService/Recommend"
SHOPPER = {"shopper": {"shopper_id": "a"}}


def write(folder: Path, *calls: object) -> Path:
    path = folder / "calls.json"
    path.write_text(json.dumps({"calls": calls}), encoding="utf-8")
    return path


def call(method: str = RECOMMEND, **request: Any) -> dict[str, Any]:
    return {"method": method, "request": {**SHOPPER, **request}}


def test_the_calls_of_a_load_test_are_read(tmp_path: Path) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "calls.json"
    log.write_text("shopper_id,type,item_id\na,view,b\na,view,c\n", encoding="utf-8")
    assert run_portrait("loadtest", log, "--dry-run", "--out", out, "--calls", 400).code == 0
    read = read_calls(out)
    assert len(read.calls) == MAX_CALLS
    assert all(isinstance(each.request, RecommendRequest) for each in read.calls)
    assert read.others > 0  # of profiles
    assert len(read.calls) + read.others + read.left_out == 400


def test_calls_keep_their_numbers(tmp_path: Path) -> None:
    shelf = call(f"{RECOMMEND.partition('/')[0]}/GetShelf", kind="SHELF_KIND_TRENDING")
    read = read_calls(write(tmp_path, call("portrait.v1.ProfileService/GetProfile"), call(k=3), shelf))
    assert [each.number for each in read.calls] == [2, 3]
    assert (read.others, read.left_out) == (1, 0)


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([call("portrait.v1.ProfileService/GetProfile")], "rules apply to none of its 1 calls"),
        ([], "rules apply to none of its 0 calls"),
        ([call(), call(k=1001)], "call 2: k: sent 1001; the limit is 0 to 1000"),
        ([call(k="many")], "call 1: Failed to parse k field"),
        ([call(what=1)], 'call 1: Message type "portrait.v1.RecommendRequest" has no field named "what"'),
        ([{"method": RECOMMEND, "request": {}}], "call 1: shopper"),
        ([{"method": RECOMMEND, "request": 3}], "call 1: "),
        ([{"method": RECOMMEND, "request": [1]}], "call 1: "),
        ([{"request": {}}], 'call 1: needs "method" and "request"'),
        (["x"], 'call 1: needs "method" and "request"'),
    ],
)
def test_a_wrong_call_is_named(tmp_path: Path, calls: list[object], why: str) -> None:
    path = write(tmp_path, *calls)
    with pytest.raises(CallsError) as raised:
        read_calls(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert why in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"calls": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_holds_no_calls_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls.json"
    path.write_bytes(content)
    with pytest.raises(CallsError, match=r"calls\.json: "):
        read_calls(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallsError, match=r"none\.json: No such file"):
        read_calls(tmp_path / "none.json")
