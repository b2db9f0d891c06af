"""Files of events and items, well formed and not."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from portrait.client.files import FileError, ListedItem, RecordedEvent, read_events, read_items, read_texts
from portrait.client.results import Event, EventType, Item

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def events(text: str | bytes) -> list[RecordedEvent]:
    return list(read_events(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "log"))


def items(text: str) -> list[ListedItem]:
    return list(read_items(io.BytesIO(text.encode()), "items"))


def test_events_from_csv() -> None:
    text = "shopper_id,event_id,type,time,item_id,query,price,colour\n"
    text += "a,1,view,2026-01-02T03:04:05+02:00,x,,1.5,red\n\n"
    text += 'b,2,search,1767225600,,"lamp,\nred",,\n'
    viewed = datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert events(text) == [
        RecordedEvent(2, "a", Event(EventType.VIEW, "1", viewed, "x", price=1.5)),
        RecordedEvent(5, "b", Event(EventType.SEARCH, "2", NEW_YEAR, query="lamp,\nred")),
    ]


def test_events_from_json_lines() -> None:
    text = '\n{"shopper_id": 7, "event_id": "1", "type": "rate", "item_id": 47, "rating": 4, "time": null}\n\n'
    assert events(text) == [RecordedEvent(2, "7", Event(EventType.RATE, "1", item_id="47", rating=4.0))]


@pytest.mark.parametrize(
    "encoded", ["\ufeffshopper_id;type;item_id\na;view;x,y\n", "shopper_id\ttype\titem_id\r\na\tview\tx,y\r\n"]
)
def test_what_spreadsheets_write(encoded: str) -> None:
    [read] = events(encoded)
    assert (read.shopper_id, read.event.item_id) == ("a", "x,y")


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-01", NEW_YEAR),
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01 01:00:00+01:00", NEW_YEAR),
        (1767225600, NEW_YEAR),
        (1767225600000, NEW_YEAR),
        ("1767225600000000", NEW_YEAR),
        (1767225600.5, NEW_YEAR.replace(microsecond=500_000)),
    ],
)
def test_times(written: Any, time: datetime) -> None:
    written = written if isinstance(written, int | float) else f'"{written}"'
    [read] = events(f'{{"type": "view", "time": {written}}}')
    assert read.event.time == time


def test_an_event_without_an_id_has_the_same_one_each_time() -> None:
    text = "shopper_id,type,time,item_id\na,view,2026-01-01,x\na,view,2026-01-01,x\na,view,2026-01-02,x\n"
    first, again, later = (read.event.event_id for read in events(text))
    assert first == again == events(text)[0].event.event_id
    assert len({first, later, ""}) == 3


def test_items() -> None:
    text = (
        'item_id,title,category_path,attributes,price,shade,catalogue\nx,A lamp,Home > Lamps,"{""colour"": ""red""}",'
    )
    text += '"$1,300.50",dim,ads\n'
    lamp = Item("x", "A lamp", ("Home", "Lamps"), "", {"colour": "red", "shade": "dim"}, 1300.5)
    assert items(text) == [ListedItem(2, "ads", lamp)]
    row = '{"item_id": "x", "category_path": ["Home", "Lamps", null], "attributes": [{"key": "size", "value": 3}]}'
    assert items(row) == [ListedItem(1, "", Item("x", category_path=("Home", "Lamps"), attributes={"size": "3"}))]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("shopper_id,type\na,gaze\n", "log, line 2, column 'type': 'gaze' is not one of search, view"),
        ("shopper_id,type,price\na,view,1\na,view,cheap\n", "log, line 3, column 'price': 'cheap' is not a number"),
        ("shopper_id,type,price\na,view,\"1,299\"\n", "log, line 2, column 'price': '1,299' may be 1299 or 1.299"),
        ("shopper_id,type\na,view,1\n", "log, line 2: has 3 values; the header has 2"),
        ("shopper_id,type\na\n", "log, line 2: has 1 values; the header has 2"),
        ('shopper_id,type\na,"view\n', "log, line 2: "),
        ("shopper_id\na\n", "log, line 1, column 'type': this column is required"),
        ("shopper_id,type,type\n", "log, line 1, column 'type': this column is named twice"),
        ('{"shopper_id": "a"}\n', "log, line 1, column 'type': is missing"),
        ('{"type": "view"}\n{"type"\n', "log, line 2: is not JSON"),
        ('{"type": "view"}\n[]\n', "log, line 2: is not a JSON object"),
        ('{"type": "view"}\n' + "[" * 100_000, "log, line 2: is nested too deeply"),
        ('{"type": "view", "position": "first"}\n', "log, line 1, column 'position'"),
        ('{"type": "view", "position": 1.5}\n', "log, line 1, column 'position'"),
        ('{"type": "view", "position": 3000000000}\n', "log, line 1, column 'position'"),
        ('{"type": "view", "price": true}\n', "log, line 1, column 'price': 'true' is not a number"),
        ('{"type": "view", "item_id": {}}\n', "log, line 1, column 'item_id': {} is not text"),
        ('{"type": "view", "item_id": "\\ud800"}\n', "log, line 1, column 'item_id': holds half a surrogate pair"),
        ('{"type": "view", "time": "yesterday"}\n', "log, line 1, column 'time': 'yesterday' is not a time"),
        ('{"type": "view", "time": "01/02/2026"}\n', "log, line 1, column 'time': '01/02/2026' may be 2026-02-01 or"),
        ('{"type": "view", "Type": "view"}\n', "log, line 1: names the key 'Type' twice"),
        (b"shopper_id,type\na,\xff\n", "log, line 2: byte 3 is not UTF-8"),
        ("user_id,type\n", "log, line 1, column 'shopper_id': this column is required; rename 'user_id'"),
        ("\ufeffsep=;\nshopper_id;type\n", "log, line 1: this line is a note for a spreadsheet"),
        ("shopper_id,type\ra,view\r", "log, line 1: lines end with a carriage return alone"),
    ],
)  # fmt: skip
def test_a_malformed_file_names_the_place(text: str | bytes, place: str) -> None:
    with pytest.raises(FileError) as told:
        events(text)
    assert str(told.value).startswith(place)


def test_attributes_that_are_none_name_the_place() -> None:
    with pytest.raises(FileError, match="items, line 1, column 'attributes': is not a JSON object"):
        items('{"item_id": "x", "attributes": [1]}')


def test_an_empty_file_holds_nothing() -> None:
    assert events("") == events("\n\n") == events("shopper_id,type\n") == []


def test_texts_stand_one_a_line() -> None:
    lines = ["\ufeffred lamp\n".encode(), b"\n", "  台灯\r\n".encode(), b"rug"]
    assert list(read_texts(lines, "texts")) == ["red lamp", "台灯", "rug"]


@pytest.mark.parametrize("line", [b"a" * 1001, b"\xff"])
def test_a_text_that_can_not_be_sent_names_the_line(line: bytes) -> None:
    with pytest.raises(FileError, match="texts, line 2"):
        list(read_texts([b"rug\n", line], "texts"))


def test_a_purchase_that_was_called_off_names_the_column_that_says_so() -> None:
    text = (
        "shopper_id,type,item_id,Order Status\na,buy,x,wc-cancelled\na,buy,x,completed\na,view,x,cancelled\na,buy,x,\n"
    )
    assert [event.called_off_by for event in events(text)] == ["Order Status", "", "", ""]
    assert (
        events('{"shopper_id": "a", "type": "buy", "item_id": "x", "status": "refunded"}')[0].called_off_by == "status"
    )


def test_an_id_that_a_spreadsheet_shortened_is_refused() -> None:
    with pytest.raises(FileError, match=r"line 2, column 'item_id': '1\.23E\+11' is not an id, but a number"):
        events("shopper_id,type,item_id\na,view,1.23E+11\n")
