"""Tables show what shops and shoppers wrote as it stands."""

import io

from rich.console import Console

from portrait.client import Event, EventType, Item, Keyword, Profile, RankedItem, Ranking, tables


def shown(width: int = 120) -> Console:
    return Console(file=io.StringIO(), width=width)


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


def test_an_id_is_never_cut_off() -> None:
    console = shown(width=60)
    tables.print_ranking(console, ranking(Item("0123456789" * 5, "A very long title of some thing")), "")
    assert "…" not in text(console)


def test_a_profile_of_nothing_and_one_in_chinese() -> None:
    console = shown()
    nothing = Profile("", (), (), (), None, 0, None, None, 3, None, None)
    tables.print_profile(console, nothing)
    assert "this history: 0 events; release 3" in text(console)
    assert "keywords: none" in text(console)
    chinese = Profile("买家", (), (Keyword("台灯", 1.0, ()),), (), None, 1, None, None, 3, None, None)
    tables.print_profile(console, chinese)
    assert "台灯 (1.00)" in text(console)
