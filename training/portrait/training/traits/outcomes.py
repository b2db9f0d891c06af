"""Outcomes of traits: what became of every shopper in the latest horizon of a log, for `portrait check-traits`."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from portrait.features.files.atomic_write import atomic_write
from portrait.training.dataset import tables
from portrait.training.dataset.data_set import open_data_set
from portrait.training.errors import TrainingError
from portrait.training.files import require_writable_file
from portrait.training.traits.declarations import Trait, read_declarations
from portrait.training.traits.labels import Labeller, open_labeller

COLUMNS = ("trait", "shopper_id", "as_of", "value")


@dataclass(frozen=True)
class OutcomeCount:
    """The outcomes of one trait."""

    trait: str
    as_of: datetime
    """One horizon before the end of the log."""
    shoppers: int
    positives: int


def write_outcomes(
    data: Path, file: Path, output: Path, complete_until: datetime | None, report: Callable[[str], None]
) -> list[OutcomeCount]:
    """Write the label of every shopper at the moment one horizon before the end of the log, as CSV, or nothing.

    Args:
        data: the prepared data set.
        file: the declarations.
        output: the CSV: `trait`, `shopper_id`, `as_of`, `value`, which is 0 or 1.
        complete_until: the log is complete up to here; None if up to its last event.
        report: called with the name of each trait before it is labelled.

    Raises:
        DeclarationError: the file declares something wrong, or a label can't be evaluated.
        TrainingError: the data set is damaged, has events without a time, or is shorter than a horizon; or the output
            can't be written.
    """
    declared = read_declarations(file)
    require_writable_file(output)
    open_data_set(data)
    shopper_ids, first, last = _read_log(data)
    end = complete_until or last
    counts = []
    moments = [_place_moment(trait, end, first, last) for trait in declared.traits]
    with (
        open_labeller(data, shopper_ids, declared) as labels,
        atomic_write(output) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as rows,
    ):
        writer = csv.writer(rows)
        writer.writerow(COLUMNS)
        for trait, as_of in zip(declared.traits, moments, strict=True):
            report(trait.name)
            counts.append(_write_trait(writer.writerow, labels, trait, as_of, shopper_ids))
    return counts


def _place_moment(trait: Trait, end: datetime, first: datetime, last: datetime) -> datetime:
    """Place the moment of a trait's outcomes, one horizon before the end."""
    as_of = end - timedelta(days=trait.horizon_days)
    if not first <= as_of <= last:
        raise TrainingError(
            f"trait {trait.name}: its outcomes are of the {trait.horizon_days} days up to {end:%Y-%m-%d %H:%M}, which "
            f"must begin within the log, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )
    return as_of


def _read_log(data: Path) -> tuple[list[str], datetime, datetime]:
    """Read the ids of the shoppers, and the times of the first and the last event."""
    events = tables.read_table(data, "events", {name: tables.EVENT_COLUMNS[name] for name in ("shopper_id", "time")})
    if events.is_empty() or events["time"].has_nulls():
        raise TrainingError(f"{data} has events without a time; outcomes need the time of each")
    microseconds = events["time"].to_physical().to_numpy()
    first, last = (datetime.fromtimestamp(float(each) / 1e6, UTC) for each in (microseconds.min(), microseconds.max()))
    return events["shopper_id"].unique().sort().to_list(), first, last


def _write_trait(
    write: Callable[[list[object]], object], labels: Labeller, trait: Trait, as_of: datetime, shopper_ids: list[str]
) -> OutcomeCount:
    found = labels.labels(trait, as_of.timestamp())
    for row, value in zip(found.shoppers.tolist(), found.values.tolist(), strict=True):
        write([trait.name, shopper_ids[row], as_of.isoformat(), int(value)])
    return OutcomeCount(trait.name, as_of, len(found.values), int(found.values.sum()))
