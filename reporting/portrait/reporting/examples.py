"""Three shoppers of the test: statements of their profiles with evidence, and their recommendations.

To protect them, they have letters as names, and the report has no id of a shopper, event or item, no words of
searches, and no dates: times count back from the moment of the profile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPE_CODES, Event, EventType, Item
from portrait.features.population.population import Population
from portrait.features.profiles.absence import Absence
from portrait.features.profiles.evidence import Evidence as WeightedHistory
from portrait.features.profiles.interests import Interest, compute_interests
from portrait.features.profiles.keywords import WeightedKeyword, compute_keywords
from portrait.features.profiles.price_bands import compute_price_bands
from portrait.features.profiles.sentences import Certainty, rate_certainty
from portrait.features.text.idf import InverseDocumentFrequency, count_document_frequencies
from portrait.training.dataset import readers
from portrait.training.dataset.corpus import NO_ITEM
from portrait.training.encoders.retrieval import find_ranks
from portrait.training.population import statistics as population
from portrait.training.run.evaluation import RankedTargets
from portrait.training.run.run import TrainedRun

MIN_EVENTS = 3
"""Events with items that an example needs; with fewer, a profile has hardly a statement."""
_SHOWN_EVENTS = 5
_SHOWN_ITEMS = 5
_MAX_STATEMENTS = {"interest": 4, "word": 5, "price": 2}
_MAX_EVIDENCE = 3

_DID = {
    EventType.SEARCH: "searched",
    EventType.VIEW: "viewed",
    EventType.CLICK: "clicked",
    EventType.ADD_TO_CART: "put into the cart",
    EventType.PURCHASE: "bought",
    EventType.RATE: "rated",
    EventType.REFUND: "gave back",
}
_TYPES = {code: kind for kind, code in EVENT_TYPE_CODES.items()}
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Moment of a profile whose events have no times; it has no effect, since the weights then decay by event."""

T = TypeVar("T")
C = TypeVar("C", Interest, WeightedKeyword)


@dataclass(frozen=True)
class Evidence:
    """An event, described without ids."""

    did: str
    what: str
    """The item's title, or a placeholder."""
    age: str


@dataclass(frozen=True)
class Statement:
    """One statement of the profile."""

    kind: str
    """`interest`, `faint interest`, `word` or `price`."""
    what: str
    strength: str
    evidence: list[Evidence]
    more: int
    """Number of further events that support it."""


@dataclass(frozen=True)
class Recommended:
    """A recommended item, with the probabilities that it is acted on next and bought next."""

    title: str
    next: float
    bought: float


@dataclass(frozen=True)
class Example:
    """One shopper of the test."""

    name: str
    events: int
    days: float | None
    """From the first event to the moment of the profile; None where the log has no times."""
    latest: list[Evidence]
    """The latest events, latest first."""
    statements: list[Statement]
    recommended: list[Recommended]
    wanted: Evidence
    """The target: the shopper's next event, which the model has not seen."""
    place: int | None
    """Rank of the target from 1; None if it is not among the first hundred."""


def draw_examples(trained: TrainedRun, ranked: RankedTargets) -> list[Example]:
    """Draw one shopper each with a short, a medium and a long history, among those with enough events with items."""
    corpus, targets = trained.corpus, ranked.vectors.targets
    start, end = corpus.shopper_start[targets], corpus.context_end[targets]
    with_item = np.append(0, np.cumsum(corpus.event_item != NO_ITEM))
    eligible = np.flatnonzero(with_item[end] - with_item[start] >= MIN_EVENTS)
    drawn_from = eligible if len(eligible) >= 3 else np.arange(len(targets))
    by_length = drawn_from[np.argsort((end - start)[drawn_from], kind="stable")]
    random = np.random.default_rng(trained.settings.seed)
    rows = [int(random.choice(third)) for third in np.array_split(by_length, 3) if len(third)]
    rarity = InverseDocumentFrequency.from_counts(*count_document_frequencies(corpus.items))
    usual = population.estimate_population(trained)
    return [
        _describe_shopper(trained, ranked, row, f"Shopper {chr(ord('A') + number)}", rarity, usual)
        for number, row in enumerate(rows)
    ]


def _describe_shopper(
    trained: TrainedRun,
    ranked: RankedTargets,
    row: int,
    name: str,
    rarity: InverseDocumentFrequency,
    usual: Population,
) -> Example:
    corpus = trained.corpus
    target = int(ranked.vectors.targets[row])
    start, end = int(corpus.shopper_start[target]), int(corpus.context_end[target])
    *history, wanted = _read_events(trained, [*range(start, end), target])
    as_of = wanted.time or _NO_TIME
    describer = _EventDescriber(trained, history, wanted.time)
    place = int(find_ranks(ranked.items[row : row + 1], corpus.event_item[[target]])[0])
    first = history[0].time
    return Example(
        name=name,
        events=len(history),
        days=None if first is None or wanted.time is None else (wanted.time - first).total_seconds() / 86_400.0,
        latest=[describer.evidence(event.event_id) for event in history[: -_SHOWN_EVENTS - 1 : -1]],
        statements=_make_statements(trained, history, as_of, describer, rarity, usual),
        recommended=_list_recommended(trained, ranked, row),
        wanted=Evidence(_describe_action(wanted), describer.title(wanted), "next"),
        place=place + 1 if place >= 0 else None,
    )


def _read_events(trained: TrainedRun, rows: Sequence[int]) -> list[Event]:
    """Read events of one shopper; their ids are their positions, and searches have no words."""
    corpus = trained.corpus
    columns = corpus.columns
    shopper = int(corpus.event_shopper[rows[0]])
    prices = _read_prices(Path(trained.data["path"]), corpus.shopper_ids[shopper])
    return [
        Event(
            event_id=str(place),
            type=_TYPES[int(columns.type_code[row])],
            time=None if np.isnan(columns.time[row]) else datetime.fromtimestamp(float(columns.time[row]), UTC),
            item_id=None if corpus.event_item[row] == NO_ITEM else corpus.items[corpus.event_item[row]].item_id,
            price=prices[row - int(corpus.starts[shopper])],
            rating=None if np.isnan(columns.rating[row]) else float(columns.rating[row]),
        )
        for place, row in enumerate(rows)
    ]


def _read_prices(data: Path, shopper_id: str) -> list[float | None]:
    """Read the price of each event of a shopper in the order of the corpus, which itself keeps only percentiles."""
    events = readers.scan_parquet(data / "events.parquet").filter(
        (pl.col("shopper_id") == shopper_id)
        & (pl.col("item_id").is_null() | (pl.col("catalogue") == DEFAULT_CATALOGUE))
    )
    return events.sort("sequence").select("price").collect()["price"].to_list()


class _EventDescriber:
    """Describes events of one history in words."""

    def __init__(self, trained: TrainedRun, history: Sequence[Event], as_of: datetime | None) -> None:
        self._items = {item.item_id: item for item in trained.corpus.items}
        self._history = {event.event_id: event for event in history}
        self._as_of = as_of

    def item(self, event: Event) -> Item | None:
        return self._items.get(event.item_id or "")

    def title(self, event: Event) -> str:
        known = self.item(event)
        return "(words not shown)" if known is None else title(known)

    def evidence(self, event_id: str) -> Evidence:
        event = self._history[event_id]
        return Evidence(_describe_action(event), self.title(event), self._age(event))

    def _age(self, event: Event) -> str:
        if event.time is None or self._as_of is None:
            later = len(self._history) - 1 - int(event.event_id)
            return (
                "the latest event" if later == 0 else f"{later} {'event' if later == 1 else 'events'} before the latest"
            )
        return _format_age((self._as_of - event.time).total_seconds())


def title(item: Item) -> str:
    """Return an item's title, or a placeholder if its title is only its id."""
    return "(an item without a title)" if item.title == item.item_id else item.title


def _describe_action(event: Event) -> str:
    return (
        f"rated {event.rating:g} of 5"
        if event.rating is not None and event.type is EventType.RATE
        else _DID[event.type]
    )


def _format_age(seconds: float) -> str:
    """Describe a duration in whole units, rounded down: 23 hours are not a day."""
    for unit, length in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count:,} {unit}{'' if count == 1 else 's'} before"
    return "just before"


def _make_statements(
    trained: TrainedRun,
    history: Sequence[Event],
    as_of: datetime,
    describer: _EventDescriber,
    rarity: InverseDocumentFrequency,
    usual: Population,
) -> list[Statement]:
    def statement(kind: str, what: str, strength: str, evidence: Sequence[str], count: int) -> Statement:
        shown = [describer.evidence(event_id) for event_id in evidence[:_MAX_EVIDENCE]]
        return Statement(kind, what, strength, shown, count - len(shown))

    weighted = WeightedHistory.from_history(history, as_of, describer.item, usual.interest_dynamics)
    return [
        *(
            statement(
                "interest" if rate_certainty(each.confidence) >= Certainty.LIKELY else "faint interest",
                " › ".join(each.category_path), f"{each.weight:.0%} of attention, confidence {each.confidence:.0%}",
                each.evidence_event_ids, each.evidence_count,
            )
            for each in _list_certain(
                compute_interests(weighted, usual.interest_dynamics)
            )[: _MAX_STATEMENTS["interest"]]
        ),
        *(
            statement(
                "word", each.word, f"{each.weight:.0%} of the strongest word", each.evidence_event_ids,
                each.evidence_count,
            )
            for each in _list_certain(compute_keywords(weighted, rarity))[: _MAX_STATEMENTS["word"]]
        ),
        *(
            statement(
                "price", " › ".join(each.category_path),
                f"pays {each.low:,.2f} to {each.high:,.2f}, dearer than {each.percentile:.0%} of the category",
                each.evidence_event_ids, each.event_count,
            )
            for each in _list_statements(
                compute_price_bands(weighted, usual.paid_prices, trained.corpus.price_scale)
            )[: _MAX_STATEMENTS["price"]]
        ),
    ]  # fmt: skip


def _list_statements(part: list[T] | Absence) -> list[T]:
    """Return the statements of a field; none if it is absent."""
    return [] if isinstance(part, Absence) else part


def _list_certain(part: list[C] | Absence) -> list[C]:
    """Return the statements of a field that are certain enough to be shown."""
    return [each for each in _list_statements(part) if rate_certainty(each.confidence)]


def _list_recommended(trained: TrainedRun, ranked: RankedTargets, row: int) -> list[Recommended]:
    candidates: NDArray[np.int64] = ranked.chosen.items[row]
    found = []
    for item in ranked.items[row, :_SHOWN_ITEMS]:
        if item >= 0:
            column = int(np.flatnonzero(candidates == item)[0])
            chances = float(ranked.click[row, column]), float(ranked.purchase[row, column])
            found.append(Recommended(title(trained.corpus.items[item]), *chances))
    return found
