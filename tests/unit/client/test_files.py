"""Files of events and items, well formed and not."""

import io
from datetime import UTC, datetime

import pytest

from portrait.client.files import FileError, read_events, read_items
from portrait.client.results import Event, EventType, Item


def test_events_from_csv() -> None:
    text = "shopper_id,type,time,item_id,query,price,colour\na,view,2026-01-02T03:04:05+02:00,x,,1.5,red\n"
    text += 'b,search,1767225600,,"lamp, red",,\n'
    assert list(read_events(io.StringIO(text), "log")) == [
        (2, "a", Event(EventType.VIEW, time=datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC), item_id="x", price=1.5)),
        (3, "b", Event(EventType.SEARCH, time=datetime(2026, 1, 1, tzinfo=UTC), query="lamp, red")),
    ]


def test_events_from_json_lines() -> None:
    text = '{"shopper_id": "a", "type": "rate", "item_id": "x", "rating": 4, "time": null}\n\n'
    assert list(read_events(io.StringIO(text), "log")) == [(1, "a", Event(EventType.RATE, item_id="x", rating=4.0))]


def test_items() -> None:
    text = 'item_id,title,category_path,attributes,price\nx,A lamp,Home > Lamps,"{""colour"": ""red""}",3\n'
    assert list(read_items(io.StringIO(text), "items")) == [
        Item("x", "A lamp", ["Home", "Lamps"], "", {"colour": "red"}, 3.0)
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("shopper_id,type\na,gaze\n", "log, line 2, column 'type'"),
        ("shopper_id,type,price\na,view,1\na,view,cheap\n", "log, line 3, column 'price'"),
        ("shopper_id,type\na,view,1\n", "log, line 2: does not have 2 columns"),
        ("shopper_id\na\n", "log, line 2, column 'type'"),
        ('{"type": "view"}\n{"type"\n', "log, line 2: is not JSON"),
        ('{"type": "view"}\n[]\n', "log, line 2: is not a JSON object"),
        ('{"type": "view", "position": "first"}\n', "log, line 1, column 'position'"),
    ],
)
def test_a_malformed_file_names_the_place(text: str, place: str) -> None:
    with pytest.raises(FileError) as told:
        list(read_events(io.StringIO(text), "log"))
    assert str(told.value).startswith(place)
