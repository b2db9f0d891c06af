"""Filters of recommendable items."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that a recommended item must meet."""

    categories: Sequence[tuple[str, ...]] = ()
    """Only items under one of these paths; empty for all."""
    brands: Sequence[str] = ()
    """Only items of these brands, whatever their case; empty for all."""
    min_price: float | None = None
    max_price: float | None = None
    """Items without a price pass neither bound."""
    exclude_item_ids: Sequence[str] = ()

    @property
    def has_conditions(self) -> bool:
        """True if it asks for more than that some items are left out."""
        return bool(self.categories or self.brands) or self.min_price is not None or self.max_price is not None
