"""Results as tables and lines for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Console

from portrait.client.audiences import AudienceSummary
from portrait.client.outputs import Rows, is_piped, print_line
from portrait.client.profiles import (
    Aversion,
    BrandAffinity,
    Demographics,
    Interest,
    Keyword,
    LabelInterest,
    PriceBand,
    Profile,
    ProfileError,
    PurchaseCycle,
)
from portrait.client.results import (
    Consents,
    Event,
    Item,
    ProfileExplanation,
    Ranking,
    RankingExplanation,
)
from portrait.client.shelves import Shelf, ShelfEvidence

_BAR = 20
_MIN_TREND = 0.25
"""Minimum trend of a growing or fading interest; a smaller change counts as steady."""
_MAX_EFFECTS = 20
"""Number of events of an explanation that are printed."""


def print_profile(console: Console, profile: Profile, *, chinese: bool = False) -> None:
    """Print a profile: the summary, then each field, then the absent fields with their reasons."""
    who = f"shopper {profile.shopper_id}" if profile.shopper_id else "this history"
    span, how = "", "; degraded: the models did not answer" if profile.degraded else ""
    if profile.first_event_time and profile.last_event_time:
        days = dict.fromkeys(f"{time:%Y-%m-%d}" for time in (profile.first_event_time, profile.last_event_time))
        span = f", {' to '.join(days)}"
    events = format_count(profile.event_count, "event")
    print_line(console, f"{who}: {events}{span}; release {profile.release}{how}", "bold")
    for sentence in profile.summary:
        print_line(console, f"- {sentence.chinese if chinese else sentence.english}")
    _print_interests(console, profile)
    if profile.keywords:
        print_line(console, f"keywords: {_format_keywords(profile.keywords)}")
    if profile.demographics:
        print_demographics(console, profile.demographics)
    for print_part in (_print_labels, _print_spending, _print_cycles, _print_brands):
        print_part(console, profile)
    for absent in profile.absent:
        print_line(console, f"no {absent.field.replace('_', ' ')}: {absent.explanation}", "dim")


def print_demographics(console: Console, demographics: Demographics) -> None:
    """Print declared demographics."""
    fields = {"age": demographics.age_band, "gender": demographics.gender, "region": demographics.region}
    parts = [f"{name} {value}" for name, value in fields.items() if value]
    when = f" (on {demographics.declared_at:%Y-%m-%d}{_where(demographics.source)})" if demographics.declared_at else ""
    print_line(console, f"declared: {', '.join(parts) or 'nothing'}{when}")


def print_consents(console: Console, consents: Consents) -> None:
    """Print permissions and recorded decisions."""
    allowed = Rows("permissions", "purpose", "allowed", "by")
    for purpose, each in consents.permissions.items():
        by = {None: "server default", True: "granted", False: "withdrawn"}[each.granted]
        allowed.add(purpose, "yes" if each.allowed else "no", by)
    allowed.print(console)
    table = Rows("consent decisions", "time", "purpose", "decision", "notice", "source", "recorded at")
    for record in consents.records:
        consent = record.consent
        cells = (consent.purpose, "granted" if consent.granted else "withdrawn", consent.notice, consent.source)
        table.add(f"{consent.time:%Y-%m-%d %H:%M:%S}", *cells, f"{record.recorded_at:%Y-%m-%d %H:%M:%S}")
    if consents.records:
        table.print(console)


def _where(source: str) -> str:
    return f", {source}" if source else ""


def _print_interests(console: Console, profile: Profile) -> None:
    columns = ("interest", "weight", "", "trend", "next", "confidence", "evidence")
    interests = Rows("interests", *columns)
    for each in _distinct_interests(profile.interests):
        weight, bar = f"{each.weight:.0%}", "█" * round(each.weight * _BAR)
        if each.inferred:
            weight, bar = "", "inferred"
        chance = "" if each.next_event_probability is None else _format_probability(each.next_event_probability)
        numbers = (weight, bar, _format_trend(each), chance, f"{each.confidence:.2f}")
        interests.add(format_category(each.category_path), *numbers, _format_evidence(each))
    for aversion in profile.aversions:
        numbers = (f"-{aversion.weight:.0%}", "aversion", "", "", f"{aversion.confidence:.2f}")
        interests.add(format_category(aversion.category_path), *numbers, _format_evidence(aversion))
    if profile.interests or profile.aversions:
        interests.print(console)


def _distinct_interests(interests: Sequence[Interest]) -> Iterator[Interest]:
    """Skip interests whose whole weight comes from one category below them."""
    for each in interests:
        below = (other for other in interests if len(other.category_path) > len(each.category_path))
        if not any(
            other.category_path[: len(each.category_path)] == each.category_path and other.weight == each.weight
            for other in below
        ):
            yield each


def _distinct_bands(bands: Sequence[PriceBand]) -> Iterator[PriceBand]:
    """Skip price bands whose prices all come from one category below them."""
    for each in bands:
        depth = len(each.category_path)
        same = (other for other in bands if other.event_count == each.event_count and other is not each)
        if not any(other.category_path[:depth] == each.category_path for other in same):
            yield each


def _print_labels(console: Console, profile: Profile) -> None:
    labels = Rows("labels", "label", "nearer than", "deviations", "of own events", "evidence")
    for each in profile.label_interests:
        numbers = (f"{each.percentile:.0%} of shoppers", f"{each.score:+.1f}", f"{each.confidence:.0%}")
        labels.add(each.label, *numbers, _format_evidence(each))
    if profile.label_interests:
        labels.print(console)


def _print_spending(console: Console, profile: Profile) -> None:
    bands = Rows("price bands", "category", "pays", "percentile", "prices", "confidence")
    for band in _distinct_bands(profile.price_bands):
        pays = f"{_format_price(band.low)} to {_format_price(band.high)}, mostly {_format_price(band.median)}"
        numbers = (f"{band.percentile:.0%}", f"{band.event_count:,}", f"{band.confidence:.2f}")
        bands.add(format_category(band.category_path), pays, *numbers)
    if profile.price_bands:
        bands.print(console)
    if profile.traits:
        traits = Rows("traits", "trait", "probability", "within", "description, or reason of absence")
        for trait in profile.traits:
            chance = "" if trait.probability is None else _format_probability(trait.probability)
            traits.add(trait.name, chance, f"{trait.horizon.days} days", trait.absent_reason or trait.description)
        traits.print(console)


def _print_cycles(console: Console, profile: Profile) -> None:
    cycles = Rows("due again", "category", "every", "last", "due", "within", "chance", "evidence")
    for each in profile.purchase_cycles:
        overdue = ", overdue" if profile.as_of and each.due_at.date() < profile.as_of.date() else ""
        dates = (f"{each.last_time:%Y-%m-%d}", f"{each.due_at:%Y-%m-%d}{overdue}")
        chance = (f"{each.horizon_days:.0f} days", f"{each.due_probability:.0%}")
        days = max(1, round(each.interval_days))
        every = "day" if days == 1 else f"{days} days"
        cycles.add(format_category(each.category_path), every, *dates, *chance, _format_evidence(each))
    if profile.purchase_cycles:
        cycles.print(console)


def _print_brands(console: Console, profile: Profile) -> None:
    brands = Rows("brands", "brand", "lift", "share", "confidence", "evidence")
    for each in profile.brands:
        numbers = (f"{each.lift:.1f}×", f"{each.share:.0%}", f"{each.confidence:.2f}")
        brands.add(each.brand, *numbers, _format_evidence(each))
    if profile.brands:
        brands.print(console)


def print_ranking(console: Console, ranking: Ranking, title: str, *, only_rows: bool = False) -> None:
    """Print ranked items.

    Args:
        console: prints them.
        ranking: the items.
        title: beginning of the heading.
        only_rows: in a pipe, print the heading to stderr.
    """
    personal = (
        f"from {format_count(ranking.event_count, 'event')}" if ranking.event_count else "not personal: no known events"
    )
    how = "; degraded: the models did not answer" if ranking.degraded else ""
    heading = f"{title}; {personal}; release {ranking.release}{how}"
    if only_rows and is_piped(console):
        print_line(Console(stderr=True), heading)
        heading = ""
    if not ranking.items and not is_piped(console):
        print_line(console, heading)
        return
    table = Rows(
        heading,
        *("#", "item", "title", "category", "price", "score", "p(click)", "p(purchase)"),
        ids={"item"},
    )
    for place, each in enumerate(ranking.items, start=1):
        price = _format_price(each.item.price) if each.item.price else ""
        chances = (_format_probability(each.click_probability), _format_probability(each.purchase_probability))
        what = (each.item.item_id, each.item.title, format_category(each.item.category_path))
        table.add(str(place), *what, price, f"{each.score:.2f}", *chances)
    table.print(console)


def print_shelf(console: Console, shelf: Shelf, title: str) -> None:
    """Print the items of a shelf; in a pipe, only rows, and the heading to stderr.

    Args:
        console: prints them.
        shelf: the items.
        title: beginning of the heading.
    """
    heading = f"{title}: {format_count(len(shelf.items), 'item')}; release {shelf.release}"
    if is_piped(console):
        print_line(Console(stderr=True), heading)
        heading = ""
    elif not shelf.items:
        print_line(console, heading)
        return
    table = Rows(heading, "#", "item", "title", "category", "price", "why", "rules", ids={"item"})
    for place, each in enumerate(shelf.items, start=1):
        price = _format_price(each.item.price) if each.item.price else ""
        what = (each.item.item_id, each.item.title, format_category(each.item.category_path))
        table.add(str(place), *what, price, _format_reason(each.evidence), ", ".join(each.rules))
    table.print(console)


def _format_reason(evidence: ShelfEvidence) -> str:
    """Format why an item is on a shelf."""
    parts = []
    if (pair := evidence.pair) is not None and pair.together:
        did = "bought" if evidence.similarity is None else "viewed"
        parts.append(f"{did} with {pair.item_id} in {pair.together:,} of {pair.with_item:,} visits")
    if (near := evidence.similarity) is not None:
        parts.append(f"similarity to {near.item_id} {near.similarity:.2f}")
    if (bought := evidence.purchases) is not None:
        parts.append(f"bought on {format_count(bought.purchase_days, 'day')}{_format_age(bought.days_since)}")
        if bought.due is not None:
            within = f"{bought.due.horizon_days:.0f} days"
            parts.append(f"{_format_probability(bought.due.probability)} within {within}")
    if (trend := evidence.trend) is not None:
        parts.append(f"{trend.growth:.1f}× its usual share of events")
    if (viewed := evidence.views) is not None:
        parts.append(f"{format_count(viewed.view_count, 'view')}{_format_age(viewed.days_since)}")
    return "; ".join(parts)


def _format_age(days: float | None) -> str:
    return "" if days is None else f", last {format_count(int(days), 'day')} ago"


def print_item(console: Console, item: Item) -> None:
    """Print an item, a field in each row."""
    fields = {
        "item": item.item_id,
        "title": item.title,
        "category": format_category(item.category_path),
        "brand": item.brand,
    }
    rows = Rows("", "field", "value", ids={"value"})
    for name, value in fields.items():
        rows.add(name, value)
    rows.add("price", "" if item.price is None else _format_price(item.price))
    for name, value in item.attributes.items():
        rows.add(f"attribute {name}", value)
    rows.print(console)


def print_profiles(console: Console, found: Sequence[tuple[str, Profile | ProfileError]]) -> None:
    """Print one row for each shopper: the profile in short, or the error."""
    columns = ("shopper", "events", "last event", "mostly", "weight", "value", "segment", "error")
    rows = Rows("", *columns, ids={"shopper"})
    for shopper_id, each in found:
        if isinstance(each, ProfileError):
            rows.add(shopper_id, *[""] * (len(columns) - 2), each.message)
            continue
        first = next(_distinct_interests(each.interests), None)
        mostly = (format_category(first.category_path), f"{first.weight:.0%}") if first else ("", "")
        value = (each.customer_value.tier, each.customer_value.segment) if each.customer_value else ("", "")
        rows.add(shopper_id, str(each.event_count), _format_time(each.last_event_time), *mostly, *value, "")
    rows.print(console)


def print_explanation(console: Console, explanation: RankingExplanation | ProfileExplanation, part: str = "") -> None:
    """Print the effects that explain a score or a profile.

    Args:
        console: prints them.
        explanation: the effects.
        part: name of the explained interest or trait; empty for a score or the whole profile.
    """
    column, form, factor = "effect in points", "{:+.2f}", 100.0
    if isinstance(explanation, RankingExplanation):
        what = f"{explanation.ranked_item.item.title}: score {explanation.ranked_item.score:.2f}"
        column, form, factor = "effect", "{:+.3f}", 1.0
    elif not part:
        what, column, form, factor = "the whole profile", "effect", "{:.3f}", 1.0
    elif explanation.probability is None:
        what = f"{part}: weight {explanation.weight:.0%}"
    else:
        what = f"{part}: {_format_probability(explanation.probability)}"
    timed = any(each.time for each in explanation.events)
    columns = ("time", "type", "subject", column, "event")
    table = Rows(f"{what}; release {explanation.release}", *columns[not timed :], ids={"event"})
    weightiest = sorted(explanation.events, key=lambda each: -abs(each.effect))[:_MAX_EFFECTS]
    for each in sorted(weightiest, key=lambda each: -each.effect):
        did = each.type.value if each.type else ""
        cells = (_format_time(each.time), did, each.subject, form.format(factor * each.effect), each.event_id)
        table.add(*cells[not timed :])
    table.print(console)
    if others := len(explanation.events) - len(weightiest):
        less = "has a smaller effect" if others == 1 else "have smaller effects"
        print_line(console, f"{format_count(others, 'more event')} {less}; --json prints all of them", "dim")
    if explanation.items:
        items = Rows("joint effects", "all events of one item", "events", column)
        for item in explanation.items[:_MAX_EFFECTS]:
            items.add(item.subject, str(len(item.event_ids)), form.format(factor * item.effect))
        items.print(console)
    if isinstance(explanation, RankingExplanation) and explanation.words:
        words = Rows("words", "of the title", column)
        for word in explanation.words:
            words.add(word.word, f"{word.effect:+.3f}")
        words.print(console)


def describe_audience(summary: AudienceSummary) -> str:
    """Describe an audience in one line."""
    if summary.shortfall:
        which = "the seed" if summary.shortfall == "seed" else "the audience"
        size = f"{which} has fewer than {summary.minimum_size} shoppers: no shopper is named"
    else:
        size = f"about {summary.estimated_size:,} of {summary.table_size:,} shoppers"
    span = f"{summary.oldest_as_of:%Y-%m-%d %H:%M} to {summary.newest_as_of:%Y-%m-%d %H:%M}"
    return f"{size}; release {summary.release}, profiles of {span} UTC"


def print_events(console: Console, events: list[tuple[Event, str]], title: str) -> None:
    """Print events, each beside the title of its item."""
    table = Rows(title, "time", "event", "what", "price")
    for event, item_title in events:
        price = "" if event.price is None else f"{event.price:,.2f}"
        table.add(
            _format_time(event.time), event.type.value, event.query if event.type == "search" else item_title, price
        )
    table.print(console)


def format_category(names: Iterable[str]) -> str:
    """Format a category path."""
    return " › ".join(names)


def _format_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def _format_evidence(each: Interest | Aversion | BrandAffinity | LabelInterest | PurchaseCycle) -> str:
    """Format the number of supporting events, and how many of them are named if these are fewer."""
    named = len(each.evidence_event_ids)
    there = max(named, each.evidence_count)  # older gateways send no count
    return f"{named:,} of {format_count(there, 'event')}" if named < there else format_count(there, "event")


def format_count(number: int, noun: str) -> str:
    """Format a number of things, for example `1 event` or `2,161 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _format_trend(interest: Interest) -> str:
    arrows = ((_MIN_TREND, "↑"), (-_MIN_TREND, "→"))
    return "" if interest.inferred else next((arrow for minimum, arrow in arrows if interest.trend >= minimum), "↓")


def _format_price(price: float) -> str:
    """Format a price with cents; below one cent, with two significant digits."""
    return f"{price:,.2f}" if price >= 0.01 or not price else f"{price:.2g}"


def _format_keywords(keywords: Iterable[Keyword]) -> str:
    return ", ".join(f"{each.word} ({each.weight:.2f})" for each in keywords)


def _format_probability(probability: float) -> str:
    """Format a probability as a percentage: two significant digits below 10%, no fraction above."""
    return f"{probability:.0%}" if probability >= 0.1 else f"{100 * probability:.2g}%"
