"""Results as tables for a person to read.

What shoppers and shops wrote is shown as it stands: no markup, and no control characters that could move the cursor.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from portrait.client.results import (
    Event,
    Keyword,
    Profile,
    ProfileExplanation,
    Ranking,
    RankingExplanation,
)

_BAR = 20
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], "�")


def print_profile(console: Console, profile: Profile) -> None:
    """Print a profile."""
    who = f"shopper {profile.shopper_id}" if profile.shopper_id else "this history"
    span, how = "", "; degraded: the models did not answer" if profile.degraded else ""
    if profile.first_event_time and profile.last_event_time:
        span = f", {profile.first_event_time:%Y-%m-%d} to {profile.last_event_time:%Y-%m-%d}"
    console.print(_text(f"{who}: {profile.event_count:,} events{span}; release {profile.release}{how}", "bold"))
    interests = _table("interests", "interest", "weight", "", "confidence", "evidence")
    for each in profile.interests:
        bar = "█" * round(each.weight * _BAR)
        evidence = f"{len(each.evidence_event_ids)} events"
        _add(interests, _path(each.path), f"{each.weight:.0%}", bar, f"{each.confidence:.2f}", evidence)
    console.print(interests)
    console.print(_text(f"keywords: {_words(profile.keywords) or 'none'}"))
    bands = _table("price bands", "category", "pays", "percentile", "prices")
    for band in profile.price_bands:
        pays = f"{band.low:,.2f} to {band.high:,.2f}, mostly {band.median:,.2f}"
        _add(bands, _path(band.category_path), pays, f"{band.percentile:.0%}", f"{band.event_count:,}")
    if profile.price_bands:
        console.print(bands)
    if profile.traits:
        traits = _table("traits", "trait", "probability", "within", "what, or why not")
        for trait in profile.traits:
            chance = "" if trait.probability is None else f"{trait.probability:.0%}"
            _add(traits, trait.name, chance, f"{trait.horizon_days:g} days", trait.absent_reason or trait.description)
        console.print(traits)


def print_ranking(console: Console, ranking: Ranking, title: str) -> None:
    """Print ranked items."""
    personal = f"from {ranking.event_count:,} events" if ranking.event_count else "not personal: no events known"
    how = "; degraded: the models did not answer" if ranking.degraded else ""
    table = _table(
        f"{title}; {personal}; release {ranking.release}{how}",
        *("", "item", "title", "category", "price", "score", "p(next)", "p(bought next)"),
    )
    for place, each in enumerate(ranking.items, start=1):
        price = "" if each.item.price is None else f"{each.item.price:,.2f}"
        chances = (_chance(each.click_probability), _chance(each.purchase_probability))
        what = (each.item.item_id, each.item.title, _path(each.item.category_path))
        _add(table, str(place), *what, price, f"{each.score:.2f}", *chances)
    console.print(table)


def print_explanation(
    console: Console, explanation: RankingExplanation | ProfileExplanation, interest: Iterable[str] = ()
) -> None:
    """Print what speaks for an item or a profile, and what against.

    Args:
        console: where to.
        explanation: what is said.
        interest: path of the interest that a ProfileExplanation is about; empty for the whole profile.
    """
    if isinstance(explanation, RankingExplanation):
        what = f"{explanation.ranked.item.title}: score {explanation.ranked.score:.2f}"
    else:
        what = f"{_path(interest)}: {explanation.weight:.0%}" if interest else "the profile as a whole"
    table = _table(f"{what}; release {explanation.release}", "event", "adds")
    for each in explanation.events:
        _add(table, each.event_id, f"{each.effect:+.3f}")
    console.print(table)
    if isinstance(explanation, RankingExplanation) and explanation.words:
        words = _table("words of the title", "word", "adds")
        for word in explanation.words:
            _add(words, word.word, f"{word.effect:+.3f}")
        console.print(words)


def print_events(console: Console, events: list[tuple[Event, str]], title: str) -> None:
    """Print events, each beside the title of its item."""
    table = _table(title, "time", "event", "what", "price")
    for event, item_title in events:
        when = f"{event.time:%Y-%m-%d %H:%M}" if event.time else ""
        price = "" if event.price is None else f"{event.price:,.2f}"
        _add(table, when, event.type.value, event.query if event.type == "search" else item_title, price)
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=_text(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")  # an id that is cut off names nothing
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(_text(cell) for cell in cells))


def _text(content: str, style: str = "") -> Text:
    return Text(content.translate(_CONTROLS), style)


def _path(names: Iterable[str]) -> str:
    return " › ".join(names)


def _words(keywords: Iterable[Keyword]) -> str:
    return ", ".join(f"{each.word} ({each.weight:.2f})" for each in keywords)


def _chance(probability: float) -> str:
    """Chances of single items are small: two digits of them say enough."""
    return f"{100 * probability:.2g}%"
