"""Conditions on the columns of a release's items, for an index that holds these columns itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowConditions:
    """Conditions that a row meets all of; by the codes of the release's columns, so that they hold no text."""

    catalogue: int | None = None
    """Code of the catalogue; None for any."""
    paths: tuple[range, ...] = ()
    """Codes of category paths, of which the row has one; empty for any. A category and all below it are a range."""
    brands: tuple[int, ...] = ()
    """Codes of brands, of which the row has one; empty for any."""
    min_price: float | None = None
    max_price: float | None = None
    """Rows without a price meet neither."""
    is_cold: bool | None = None
    """True for items of which the release knows no event, False for the others; None for either."""


NO_CONDITIONS = RowConditions()
