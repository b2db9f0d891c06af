"""Shelves of what stands in the shopper's history: what they looked at, and what they may buy again."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np

from portrait.features.events import Event, EventType
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.items.prices import category_key
from portrait.features.population.purchase_cycles import compute_due_probability, estimate_cycle
from portrait.features.profiles.evidence import MAX_EVIDENCE, Evidence, latest_event_ids
from portrait.server.recommendation.shelf_evidence import DueEvidence, PurchaseEvidence, ShelfEvidence, ViewEvidence
from portrait.server.recommendation.shelf_inputs import ShelfEntry, ShelfInputs

_MIN_PURCHASE_DAYS = 2
"""One purchase is no habit. The due probabilities of a release are calibrated for as many days of a category."""
_VIEWS = (EventType.VIEW, EventType.CLICK)


def find_viewed(inputs: ShelfInputs) -> list[ShelfEntry]:
    """Find what the shopper looked at, the latest first."""
    viewed: dict[int, list[Event]] = defaultdict(list)
    for event in reversed(inputs.history):
        if event.type in _VIEWS and (row := inputs.catalogue.row_of(event)) is not None:
            viewed[row].append(event)
    shown = inputs.may_show(viewed)
    return [
        ShelfEntry(
            row,
            ShelfEvidence(
                views=ViewEvidence(
                    len(events),
                    events[0].time,
                    inputs.days_since(events[0].time),
                    tuple(event.event_id for event in events[:MAX_EVIDENCE]),
                )
            ),
        )
        for row, events in viewed.items()
        if shown[row]
    ]


def find_bought(inputs: ShelfInputs) -> list[ShelfEntry]:
    """Find what the shopper may buy again: items bought on several days, or of a category that is bought again.

    First come items of the categories that are likeliest to be bought next, then those bought on most days, then the
    latest.
    """
    weighted = Evidence.from_history(inputs.history, inputs.as_of, lambda _: None)
    bought: dict[int, list[Event]] = defaultdict(list)
    for each in weighted.events:
        is_kept = each.event.type is EventType.PURCHASE and each.long > 0.0  # not refunded
        if is_kept and (row := inputs.catalogue.row_of(each.event)) is not None:
            bought[row].append(each.event)
    items = inputs.catalogue.take(np.array(list(bought), dtype=np.int64)).items
    paths = {row: item.category_path for row, item in zip(bought, items, strict=True)}
    due_by_path = _estimate_due(inputs, bought, paths) if weighted.has_times else {}
    shown = inputs.may_show(bought)
    found = []
    for row, events in bought.items():
        days, due, since = len(_list_days(events)), due_by_path.get(paths[row]), inputs.days_since(events[-1].time)
        if shown[row] and (due is not None or days >= _MIN_PURCHASE_DAYS):
            event_ids = latest_event_ids([event.event_id for event in events])
            evidence = PurchaseEvidence(days, events[-1].time, since, due, event_ids)
            order = (-due.probability if due else 0.0, -days, since or 0.0)
            found.append((order, ShelfEntry(row, ShelfEvidence(purchases=evidence))))
    return [entry for _, entry in sorted(found, key=itemgetter(0))]


def _list_days(events: Sequence[Event]) -> list[float]:
    """List the days of events, ascending; an event without a time is a day of its own."""
    days = (
        event.time.timestamp() // SECONDS_PER_DAY if event.time else -float(place)
        for place, event in enumerate(events, start=1)
    )
    return sorted(set(days))


def _estimate_due(
    inputs: ShelfInputs, bought: Mapping[int, Sequence[Event]], paths: Mapping[int, tuple[str, ...]]
) -> dict[tuple[str, ...], DueEvidence]:
    """Estimate the next purchase in each category that is bought again."""
    population = inputs.release.population
    if population is None or population.purchase_cycles is None:
        return {}
    cycles = population.purchase_cycles
    by_path: dict[tuple[str, ...], list[Event]] = defaultdict(list)
    for row, events in bought.items():
        by_path[paths[row]].extend(events)
    due = {}
    for path, events in by_path.items():
        days, category = _list_days(events), cycles.categories.get(category_key(path))
        if category is not None and len(days) >= _MIN_PURCHASE_DAYS:
            intervals = [later - earlier for earlier, later in itertools.pairwise(days)]
            known = estimate_cycle(intervals, category, cycles.scale)
            elapsed = min(since for event in events if (since := inputs.days_since(event.time)) is not None)
            probability = compute_due_probability(known, elapsed, cycles.scale)
            due[path] = DueEvidence(known.days(), probability, cycles.scale.horizon_days)
    return due
