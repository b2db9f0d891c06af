"""Demographics that shoppers declare, in bands. No model, statistic or summary uses them.

They are shown, regions find audiences, and ages open the topics that need one.
"""

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
    """The demographics that a shopper declared, named as in `shoppers.parquet`; empty if left out."""

    age_band: str
    """One of AGE_BANDS."""
    gender: str
    region: str
    declared_at: datetime
    """UTC."""
    source: str = ""
    """Place of the declaration, for example `account form`."""

    @property
    def expires_at(self) -> datetime | None:
        """Compute when half of a band's shoppers will have outgrown it, with ages spread evenly within the band.

        None without an age band, and for the last. From the age itself it would tell the age, which is not kept.
        """
        if self.age_band not in AGE_BANDS[:-1]:
            return None
        place, ages = AGE_BANDS.index(self.age_band), tuple(_MIN_AGES)
        return self.declared_at + timedelta(days=(ages[place + 1] - ages[place]) / 2 * _DAYS_PER_YEAR)


def find_age_band(age: int) -> str:
    """Find the band of an age in years.

    Args:
        age: 0 or more.
    """
    return _MIN_AGES[max(first for first in _MIN_AGES if first <= age)]


def find_first_age(age_band: str) -> int:
    """Find the first age of a band; 0 for an unknown one."""
    return next((first for first, band in _MIN_AGES.items() if band == age_band), 0)


def select_demographics(declared: Demographics | None, as_of: datetime | None) -> Demographics | Absence:
    """Return the demographics declared up to a moment, or their absence.

    Args:
        declared: what was declared last.
        as_of: the moment; None for all that has arrived, whatever clock it was dated by.
    """
    if declared is None or (as_of is not None and declared.declared_at > as_of):
        return _NOT_DECLARED
    return declared
