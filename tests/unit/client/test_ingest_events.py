"""Messages of a stream as events: the quick way reads what it takes as the careful way does."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.client.ingest.event_parser import EventError, add_event, parse_event
from portrait.client.ingest.plain_events import read_plain_event
from portrait.features.logs.event_types import EVENT_TYPE_NAMES
from portrait.features.logs.identifiers import MISSING_MARKERS
from portrait.v1.event_pb2 import EVENT_TYPE_PURCHASE
from portrait.v1.event_service_pb2 import RecordEventsRequest, ShopperEvent

PLAIN = {
    "shopper_id": "s-1",
    "event_id": "e-1",
    "type": "purchase",
    "item_id": "desk-lamp-red",
    "time": "2026-01-31T12:00:00.25+01:00",
    "price": 12.5,
}
AT = int(datetime(2026, 1, 31, 11, tzinfo=UTC).timestamp())

Read = tuple[ShopperEvent, str]
"""An event, and the key that says that it was called off."""

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(sorted(MISSING_MARKERS)),
    st.sampled_from(["", " ", "a b", " padded", "\u00a0x", "ab\u200b", "Ünïcode", "1.0", "x" * 1_001, 'q"uote']),
)
numbers = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(-3, 3),
    st.floats(),
    st.floats(1e-7, 1e17),
    st.sampled_from(["9.50", "1,5", "€3", "-1", "1e3", "1_000", "0012", ".5", "7.", -0.0, 2**31, 2**31 - 1, True]),
)
times = st.one_of(
    st.datetimes(timezones=st.sampled_from([None, UTC])).map(datetime.isoformat),
    st.integers(-(10**18), 10**18),
    st.integers(10**9, 10**10),
    st.integers(10**12, 10**13),
    st.integers(10**9, 10**13).map(str),
    st.from_regex(
        r"(1\d|20)\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-6]\d(:[0-6]\d)?([.,]\d{1,9})?(Z|z|[+-][01]\d(:?[0-7]\d)?)?",
        fullmatch=True,
    ),
    st.sampled_from(["", "2026-02-30T00:00:00Z", "20260131", "31.01.2026", "2026-01-31T24:00:00Z", "now", None, 0]),
)
types = st.one_of(st.sampled_from(sorted(EVENT_TYPE_NAMES)), st.sampled_from(["Page View", "dance", "", " ", 1, None]))
nested = st.sampled_from([{}, [], {"price": 1}, ["a", 'b"']])
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "shopper_id": texts,
    "event_id": texts,
    "item_id": texts,
    "catalogue": texts,
    "query": texts,
    "type": types,
    "time": times,
    "currency": st.sampled_from(["EUR", "usd", "?", None, 1]),
    **dict.fromkeys(["price", "quantity", "rating", "dwell_seconds", "position"], numbers),
}
names = st.one_of(
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from(["Price", "TIME", " type", "item_id ", "user_agent", "User_Agent", "title", "", "ﬁ", "FI"]),
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a message: a plain one in which some fields are other ones, some stand twice, and some bytes change."""
    pairs: list[tuple[str, Any]] = [(name, value) for name, value in PLAIN.items() if draw(st.integers(0, 15))]
    for name in draw(st.lists(names, max_size=4)):
        value = draw(st.one_of(FIELDS.get(name, texts), st.none(), nested) if draw(st.booleans()) else texts)
        pairs = [pair for pair in pairs if pair[0] != name or not draw(st.integers(0, 7))]
        pairs.insert(draw(st.integers(0, len(pairs))), (name, value))
    space, is_ascii = draw(st.sampled_from(["", " ", "\n", "\t"])), draw(st.booleans())
    inside = ("," + space).join(
        f"{json.dumps(name, ensure_ascii=is_ascii)}{space}:{json.dumps(value, ensure_ascii=is_ascii)}"
        for name, value in pairs
    )
    payload = f"{{{inside}}}".encode(errors="surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        place, extra = draw(st.integers(0, len(payload))), draw(st.binary(max_size=2))
        payload = payload[:place] + extra + payload[place + draw(st.integers(0, 2)) :]
    return payload


def read_both(payload: bytes) -> tuple[Read | None, Read | None]:
    """Read a message in the quick way and in the careful way; None where one gives up."""
    plain = read_plain_event(payload)
    try:
        careful = parse_event(payload)
    except EventError:
        careful = None
    return (None if plain is None else (ShopperEvent(**plain.fields), plain.called_off_by)), careful


@given(messages())
def test_what_the_quick_way_reads_is_what_the_careful_way_reads(payload: bytes) -> None:
    plain, careful = read_both(payload)
    if plain is not None:
        assert careful is not None
        (event, called_off_by), (expected, expected_by) = plain, careful
        assert event.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
        assert called_off_by == expected_by


@given(st.binary(max_size=64))
def test_bytes_of_all_kinds_are_an_event_or_an_error(payload: bytes) -> None:
    assert read_both(payload) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"type": "Product Purchased"},
        {"time": AT},
        {"time": 1000 * AT + 1},
        {"time": str(AT)},
        {"time": "2026-01-31 12:00:00"},
        {"price": 3, "quantity": 2, "position": 4, "rating": 4.5, "dwell_seconds": 0.25},
        {"price": "9.50", "currency": "EUR"},
        {"query": "", "catalogue": None},
        {"query": "rote Läufer " + "x" * 1_000, "catalogue": "home"},
        {"user_agent": "Mozilla/5.0", "is_app": True, "title": "Lamp"},
    ],
)
def test_messages_as_shops_write_them_go_the_quick_way(change: dict[str, Any]) -> None:
    plain, careful = read_both(json.dumps(PLAIN | change, ensure_ascii=False).encode())
    assert plain is not None
    assert plain == careful
    assert plain[0].event.type == EVENT_TYPE_PURCHASE


@pytest.mark.parametrize("quirk", [{}, {"title": 'a "lamp"'}])
@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"Order Status": "Cancelled"}, "Order Status"),
        ({"user": 1, "financial_status": "refunded"}, "financial_status"),
        ({"status": "shipped", "state": "RETURNED"}, "state"),
        ({"status": "paid"}, ""),
        ({"status": None, "state": ""}, ""),
        ({"type": "view", "status": "cancelled"}, ""),
    ],
)
def test_purchases_that_were_called_off_are_found_as_record_finds_them(
    change: dict[str, Any], key: str, quirk: dict[str, str]
) -> None:
    request = RecordEventsRequest()
    payload = json.dumps(PLAIN | change | quirk).encode()
    assert (read_plain_event(payload) is None) == bool(quirk)
    assert add_event(request, payload) == key
    assert len(request.events) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "is no JSON object"),
        (b"shopper_id,type\n1,view", "is no JSON object"),
        (b"[1]", "is no JSON object"),
        (b'{"shopper_id": "s"', "is not JSON"),
        (b'{"type": "view", "price": 1, "price": 2}', "names the key 'price' twice"),
        (b'{"type": "view", "price": 1, "Price": 2}', "names the key 'Price' twice"),
        (b'{"type": "dance"}', "type: 'dance' is not one of"),
        (b'{"type": "view", "time": "yesterday"}', "column 'time': 'yesterday' is not a time"),
        (b'{"type": "view", "item_id": "\xff"}', "is not UTF-8"),
        (b'{"type": "view", "item_id": "\\ud800"}', "half a surrogate pair"),
        (json.dumps(PLAIN | {"item_id": "x" * 10_000}).encode(), "is an event of 10040 bytes; the limit is 8192"),
    ],
)
def test_a_message_that_holds_no_event_says_why(payload: bytes, reason: str) -> None:
    request = RecordEventsRequest()
    with pytest.raises(EventError, match=reason.replace("[", r"\[")):
        add_event(request, payload)
    assert not request.events


def test_prices_do_not_depend_on_the_currencies_of_other_messages() -> None:
    request = RecordEventsRequest()
    for currency in ("EUR", "USD"):
        add_event(request, json.dumps(PLAIN | {"event_id": currency, "price": f"5 {currency}"}).encode())
    assert [sent.event.price for sent in request.events] == [5.0, 5.0]
