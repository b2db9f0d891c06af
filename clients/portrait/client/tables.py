"""Results as tables for a person to read."""

from rich.console import Console, Group
from rich.table import Table

from portrait.client.results import Event, Profile, Ranking

_BAR = 20


def print_profile(console: Console, profile: Profile) -> None:
    """Print a profile."""
    who = f"shopper {profile.shopper_id}" if profile.shopper_id else "this history"
    span = ""
    if profile.first_event_time and profile.last_event_time:
        span = f", {profile.first_event_time:%Y-%m-%d} to {profile.last_event_time:%Y-%m-%d}"
    console.print(f"[bold]{who}[/bold]: {profile.event_count:,} events{span}; release {profile.release}")
    interests = Table("interest", "weight", "", "confidence", "evidence", title="interests", title_justify="left")
    for each in profile.interests:
        bar = "█" * round(each.weight * _BAR)
        evidence = f"{len(each.evidence_event_ids)} events"
        interests.add_row(" › ".join(each.path), f"{each.weight:.0%}", bar, f"{each.confidence:.2f}", evidence)
    bands = Table("category", "pays", "percentile", "prices", title="price bands", title_justify="left")
    for band in profile.price_bands:
        pays = f"{band.low:,.2f} to {band.high:,.2f}, mostly {band.median:,.2f}"
        bands.add_row(" › ".join(band.category_path), pays, f"{band.percentile:.0%}", str(band.event_count))
    words = ", ".join(f"{each.word} ({each.weight:.2f})" for each in profile.keywords)
    console.print(Group(interests, f"keywords: {words or 'none'}", *([bands] if profile.price_bands else [])))


def print_ranking(console: Console, ranking: Ranking, title: str) -> None:
    """Print ranked items."""
    personal = f"from {ranking.event_count:,} events" if ranking.event_count else "not personal: no events known"
    table = Table(
        "", "item", "title", "category", "price", "score", "p(next)", "p(bought next)",
        title=f"{title}; {personal}; release {ranking.release}", title_justify="left",
    )  # fmt: skip
    for place, each in enumerate(ranking.items, start=1):
        table.add_row(
            str(place), each.item.item_id, each.item.title, " › ".join(each.item.category_path),
            "" if each.item.price is None else f"{each.item.price:,.2f}",
            f"{each.score:.2f}", _chance(each.click_probability), _chance(each.purchase_probability),
        )  # fmt: skip
    console.print(table)


def _chance(probability: float) -> str:
    """Chances of single items are small: two digits of them say enough."""
    return f"{100 * probability:.2g}%"


def print_events(console: Console, events: list[tuple[Event, str]], title: str) -> None:
    """Print events, each beside the title of its item."""
    table = Table("time", "event", "what", "price", title=title, title_justify="left")
    for event, item_title in events:
        when = f"{event.time:%Y-%m-%d %H:%M}" if event.time else ""
        price = "" if event.price is None else f"{event.price:,.2f}"
        table.add_row(when, event.type.value, event.query if event.type == "search" else item_title, price)
    console.print(table)
