"""Tables show what shops and shoppers wrote as it stands."""

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from portrait.client import (
    AbsentField,
    Aversion,
    BrandAffinity,
    Event,
    EventEffect,
    EventType,
    Interest,
    Item,
    ItemEffect,
    Keyword,
    LabelInterest,
    PriceBand,
    Profile,
    ProfileError,
    ProfileExplanation,
    PurchaseCycle,
    RankedItem,
    Ranking,
    RankingExplanation,
    SummarySentence,
    tables,
)
from portrait.client.outputs import Rows, TableConsole

HOSTILE = [
    "two  words", "a\tb", "a\nb", "a\r\nb", "a\\nb", "=1+1", "台灯" * 40, "מנורה", "x\u202ey", "0123456789" * 60,
    "[b]", "#",
]  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(width: int = 120, is_terminal: bool = True) -> Console:
    """A console that takes itself for a terminal, as FORCE_COLOR has it; what counts is where it writes."""
    return Console(
        file=Terminal() if is_terminal else io.StringIO(), width=width, force_terminal=True, color_system=None
    )


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def ranking(*items: Item) -> Ranking:
    return Ranking(tuple(RankedItem(item, 1.0, 0.012, 0.00034) for item in items), release=3, event_count=7)


def test_markup_is_text() -> None:
    console = shown()
    tables.print_ranking(console, ranking(Item("[x]", "Lamp [LED] [/b] :smile:")), "for '[/red]'")
    tables.print_events(console, [(Event(EventType.SEARCH, query="[/i] tv"), "")], "[/b]")
    for part in ("[x]", "Lamp [LED] [/b] :smile:", "for '[/red]'", "[/i] tv", "1.2%", "0.034%"):
        assert part in text(console)


def test_control_characters_do_not_reach_the_terminal() -> None:
    console = shown()
    tables.print_ranking(console, ranking(Item("x", "Lamp\x1b[2J\x9b3")), "")
    assert "\x1b" not in text(console)
    assert "\x9b" not in text(console)


@pytest.mark.parametrize("item_id", HOSTILE)
def test_an_id_stands_whole_in_one_line_of_a_table(item_id: str) -> None:
    console = shown(width=60)
    tables.print_ranking(console, ranking(Item(item_id, "A very long title of some thing"), Item("b")), "")
    written = item_id.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n").replace("\u202e", "\\u202e")
    assert [line for line in text(console).splitlines() if written in line]
    assert "…" not in text(console)
    console = shown(width=60)
    tables.print_explanation(console, ProfileExplanation((EventEffect(item_id, 0.1),), 0.0, 3, 1), "")
    assert [line for line in text(console).splitlines() if written in line]


@pytest.mark.parametrize("item_id", HOSTILE)
def test_a_pipe_gets_a_line_for_each_row_and_a_tab_between_its_cells(item_id: str) -> None:
    console = shown(width=60, is_terminal=False)
    tables.print_ranking(
        console, ranking(Item(item_id, f"A {item_id}", [item_id, "b"], price=1.5), Item("b")), "", only_rows=True
    )
    rows = [line.split("\t") for line in text(console).removesuffix("\n").split("\n")]
    assert [len(row) for row in rows] == [8, 8, 8]
    back = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\", "\\u202e": "\u202e"}
    read = re.sub(r"\\(?:u202e|.)", lambda found: back[found[0]], rows[1][1])
    assert read == item_id
    assert rows[0][:3] == ["#", "item", "title"]
    assert text(console).isprintable() is False  # tabs and ends of lines, and nothing else:
    assert text(console).replace("\t", "").replace("\n", "").isprintable()


def test_several_rankings_in_a_pipe_are_told_apart() -> None:
    console = shown(is_terminal=False)
    tables.print_ranking(console, ranking(Item("a")), "for anybody")
    assert text(console).startswith("for anybody; from 7 events; release 3\n#\titem\t")


def test_lines_of_a_pipe_are_not_broken() -> None:
    console = shown(width=60, is_terminal=False)
    keywords = tuple(Keyword(f"word{number}", 0.5, ()) for number in range(50))
    tables.print_profile(console, Profile("s" * 200, (), keywords, (), None, 1, None, None, 3, None, None))
    first, second = text(console).splitlines()
    assert first == f"shopper {'s' * 200}: 1 event; release 3"
    assert second.count("word") == 51


def test_profiles_of_many_shoppers_have_a_row_each() -> None:
    day = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    lamps = Interest(("Home", "Lamps"), 0.7, 0.6, ("1",))
    one = Profile("s1", (lamps,), (), (), None, 12, day, day, 3, day, day)
    console = shown(is_terminal=False)
    tables.print_profiles(console, [("s1", one), ("s2", ProfileError(5, "shoppers[1]", "no event is recorded"))])
    header, *rows = [line.split("\t") for line in text(console).splitlines()]
    assert header[0] == "shopper"
    assert rows == [
        ["s1", "12", "2026-05-01 12:30", "Home › Lamps", "70%", "", "", ""],
        ["s2", "", "", "", "", "", "", "no event is recorded"],
    ]


def test_a_profile_of_nothing_and_one_in_chinese() -> None:
    console = shown()
    nothing = Profile("", (), (), (), None, 0, None, None, 3, None, None)
    tables.print_profile(console, nothing)
    assert "this history: 0 events; release 3" in text(console)
    assert "keywords" not in text(console)
    chinese = Profile("买家", (), (Keyword("台灯", 1.0, ()),), (), None, 1, None, None, 3, None, None)
    tables.print_profile(console, chinese)
    assert "台灯 (1.00)" in text(console)


def test_a_profile_for_a_merchandiser() -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    lamps = Interest(("Home", "Lamps"), 0.7, 0.6, ("1", "2"), 0.9, 0.4, 0.3, 0.42, 0.1)
    tools = Interest(("Garden",), 0.0, 0.05, ("1",), next_event_probability=0.05, population_weight=0.01, inferred=True)
    cycle = PurchaseCycle(("Kitchen", "Coffee"), 11.9, 4, day, day, day, day, 0.86, 30.0, ("3",), day)
    profile = Profile(
        "s1", (lamps, tools), (), (), None, 12, day, day, 3, day, day,
        aversions=(Aversion(("Home", "Rugs"), 1.0, 0.13, ("4",), None),),
        brands=(BrandAffinity("Acme", 1.86, 0.84, 0.75, ("1",), None),),
        purchase_cycles=(cycle,),
        label_interests=(LabelInterest("gifts", 1.5, 0.93, 0.5, ("1",), False, None),),
        summary=(SummarySentence("interests", "Cares most for Lamps.", "最关注Lamps。", ("1",)),),
        absent=(AbsentField("activity_pattern", "too_little_evidence", "5 days with events; at least 8 are needed"),),
    )  # fmt: skip
    console = shown()
    tables.print_profile(console, profile)
    for part in (
        "- Cares most for Lamps.", "Home › Lamps", "42%", "↑", "inferred", "aversion", "Acme", "1.9×", "86%",
        "12 days", "93% of shoppers", "no activity pattern: 5 days with events",
    ):  # fmt: skip
        assert part in text(console), part
    console = shown()
    tables.print_profile(console, profile, chinese=True)
    assert "最关注Lamps。" in text(console)


def test_an_explanation_says_what_was_done_and_in_what_it_counts() -> None:
    when = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    events = (
        EventEffect("e1", 0.0321, EventType.PURCHASE, when, "Desk [lamp]"),
        EventEffect("e2", -0.004, EventType.SEARCH, None, "rug"),
    )
    for explanation, part, parts in (
        (
            ProfileExplanation(events, 0.24, 3, 2),
            "Home › Lamps",
            ("Lamps: weight 24%", "in points", "+3.21", "-0.40"),
        ),
        (ProfileExplanation(events, 0.0, 3, 2, 0.997), "buys", ("buys: 100%", "in points", "+3.21", "-0.40")),
        (ProfileExplanation(events, 0.0, 3, 2), "", ("the whole profile", "effect", "0.032")),
    ):
        console = shown()
        tables.print_explanation(console, explanation, part)
        for expected in (*parts, "2026-05-01 12:30", "purchase", "Desk [lamp]", "search", "rug", "e1", "release 3"):
            assert expected in text(console)


def test_of_many_effects_the_weightiest_are_shown() -> None:
    events = tuple(EventEffect(f"event-{n}-", (n - 20) / 100) for n in range(50, 0, -1))
    console = shown()
    tables.print_explanation(console, ProfileExplanation(events, 0.5, 3, 50), "Home")
    assert "event-50-" in text(console)
    assert "event-1-" in text(console)
    assert "event-20-" not in text(console)
    assert "30 more events have smaller effects" in text(console)
    assert text(console).index("event-50-") < text(console).index("event-1-")


def test_items_of_several_events_are_printed_with_their_joint_effect() -> None:
    console = shown()
    items = (ItemEffect("Book", ("e1", "e2", "e3"), 1.25),)
    ranked = RankedItem(Item("book", "Book"), 4.0, 0.1, 0.1)
    tables.print_explanation(console, RankingExplanation(ranked, (), (), 3, 3, items))
    for expected in ("joint effects", "Book", "3", "+1.250"):
        assert expected in text(console)


def test_what_is_due_is_told_from_what_is_overdue_and_nothing_twice() -> None:
    day, later = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 9, tzinfo=UTC)
    weights = ((("Fuel",), 0.3), (("Fuel", "Unleaded"), 0.3), (("Home",), 0.7), (("Home", "Lamps"), 0.5))
    cycles = (PurchaseCycle(("Tea",), 9.0, 4, day, due, due, due, 0.8, 30.0, ("3",), day) for due in (day, later))
    interests = tuple(Interest(path, weight, 0.6, ("1",), next_event_probability=1.0) for path, weight in weights)
    console = shown()
    profile = Profile("s1", interests, (), (), None, 12, day, day, 3, later, later, purchase_cycles=tuple(cycles))
    tables.print_profile(console, profile)
    said = text(console)
    assert [said.count(part) for part in ("Fuel", "Home", "100%", "overdue", "2026-05-09")] == [1, 2, 3, 1, 1]


def test_evidence_says_of_how_many_events_it_names_some() -> None:
    day, ten = datetime(2026, 5, 1, tzinfo=UTC), tuple(map(str, range(10)))
    profile = Profile(
        "s1", (Interest(("Home",), 0.7, 0.9, ten, evidence_count=2161),), (), (), None, 2300, day, day, 3, day, day,
        aversions=(Aversion(("Rugs",), 1.0, 0.5, ("4",), None, evidence_count=1),),
        brands=(BrandAffinity("Acme", 1.9, 0.8, 0.8, ten, None, evidence_count=11),),
        label_interests=(LabelInterest("gifts", 1.5, 0.9, 0.5, ten, False, None),),
        purchase_cycles=(PurchaseCycle(("Tea",), 9.0, 4, day, day, day, day, 0.8, 30.0, ten, day, evidence_count=12),),
    )  # fmt: skip
    console = shown(160)
    tables.print_profile(console, profile)
    for part in ("10 of 2,161 events", " 1 event ", "10 of 11 events", " 10 events ", "10 of 12 events"):
        assert part in text(console), part


def test_what_is_due_on_the_day_of_the_profile_is_not_overdue() -> None:
    morning, evening = (datetime(2026, 5, 9, hour, tzinfo=UTC) for hour in (8, 20))
    night = datetime(2026, 5, 10, 0, 1, tzinfo=UTC)
    for as_of, overdue in ((evening, False), (night, True)):
        cycle = PurchaseCycle(("Tea",), 9.0, 4, morning, morning, morning, morning, 0.8, 30.0, ("3",), morning)
        profile = Profile("s", (), (), (), None, 1, None, None, 3, as_of, None, purchase_cycles=(cycle,))
        console = shown()
        tables.print_profile(console, profile)
        assert ("overdue" in text(console)) is overdue


def test_a_price_of_nothing_is_not_shown_among_recommendations() -> None:
    console = shown()
    tables.print_ranking(console, ranking(Item("gift", "Gift", price=0.0), Item("dear", "Dear", price=9.5)), "")
    assert "0.00" not in text(console)
    assert "9.50" in text(console)


def test_a_table_console_prints_tables_for_people_who_read_a_file() -> None:
    console = TableConsole(file=io.StringIO(), width=80)
    rows = Rows("", "item", ids={"item"})
    rows.add("a-lamp")
    rows.print(console)
    assert "\t" not in text(console)
    assert "│ a-lamp │" in text(console)


def test_one_is_told_as_one_and_nothing_has_no_empty_table() -> None:
    console = shown()
    tables.print_profile(console, Profile("s", (), (), (), None, 1, None, None, 3, None, None))
    tables.print_ranking(console, Ranking((), release=3, event_count=1), "0 recommendations")
    assert "shopper s: 1 event; release 3" in text(console)
    assert text(console).splitlines()[-1] == "0 recommendations; from 1 event; release 3"


def test_a_price_band_that_says_the_same_as_a_narrower_one_is_not_shown() -> None:
    paths = ((("Dairy",), 28), (("Dairy", "Milk"), 28), (("Home",), 9), (("Home", "Lamps"), 4))
    bands = tuple(PriceBand(path, 0.3, 1.0, 2.0, 3.0, count, ()) for path, count in paths)
    console = shown()
    tables.print_profile(console, Profile("s", (), (), bands, None, 1, None, None, 3, None, None))
    assert [text(console).count(name) for name in ("Dairy", "Home")] == [1, 2]
