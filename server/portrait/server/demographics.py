"""What shoppers declare of themselves, in bands. It is shown; no model, statistic or summary is made of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portrait.features.profiles.absence import Absence, AbsenceReason

_MIN_AGES = {0: "0-17", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-54", 55: "55-64", 65: "65+"}
"""The first age of each band."""
AGE_BANDS = tuple(_MIN_AGES.values())
"""From the youngest. The last one has no end."""

_NOT_DECLARED = Absence(AbsenceReason.NOT_RECORDED, "the shopper has declared nothing")
_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Demographics:
    """What a shopper declared. The names are those of `shoppers.parquet`; empty is what they left out."""

    age_band: str
    """One of AGE_BANDS."""
    gender: str
    region: str
    declared_at: datetime
    """UTC."""
    source: str = ""
    """Where, for example `account form`."""

    @property
    def expires_at(self) -> datetime | None:
        """When half of those who are of the band will have outgrown it, ages being spread evenly within.

        None without an age band, and for the last. From the age itself it would tell the age, which is not kept.
        """
        if self.age_band not in AGE_BANDS[:-1]:
            return None
        place, ages = AGE_BANDS.index(self.age_band), tuple(_MIN_AGES)
        return self.declared_at + timedelta(days=(ages[place + 1] - ages[place]) / 2 * _DAYS_PER_YEAR)


def find_age_band(age: int) -> str:
    """The band of an age in years.

    Args:
        age: 0 or more.
    """
    return _MIN_AGES[max(first for first in _MIN_AGES if first <= age)]


def select_demographics(declared: Demographics | None, as_of: datetime | None) -> Demographics | Absence:
    """What was declared up to a moment, or that nothing was.

    Args:
        declared: what was declared last.
        as_of: the moment; None for all that has arrived, whatever clock it was dated by.
    """
    if declared is None or (as_of is not None and declared.declared_at > as_of):
        return _NOT_DECLARED
    return declared
