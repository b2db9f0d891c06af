"""The file of rules: TOML, one table `[[rules]]` for each."""

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from portrait.features.candidates.item_pairs import PairKind
from portrait.features.events import DEFAULT_CATALOGUE
from portrait.server.catalogue.filters import Filter
from portrait.server.runtime.toml_file import TomlFileError, read_toml_file

MAX_RULES = 200
MAX_ITEM_IDS = 1_000
MAX_PLACED_IDS = 20
"""Item ids of a rule whose items have places."""
_MAX_AMOUNT = 20.0
_RULE = re.compile(r"(?<= )rules\.(?=\d)")
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Path = Annotated[tuple[_Text, ...], Field(min_length=1)]


class Placement(StrEnum):
    """A list of items that a shop shows, and that rules arrange."""

    RECOMMENDATIONS = "recommendations"
    SIMILAR_ITEMS = "similar_items"
    FREQUENTLY_BOUGHT_TOGETHER = "frequently_bought_together"
    BUY_AGAIN = "buy_again"
    TRENDING = "trending"
    RECENTLY_VIEWED = "recently_viewed"


class RulesError(Exception):
    """The file of rules can't be used; the message names the rule, the key and the limit."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemCondition(_Table):
    """Items that a rule is about: those that meet all conditions that are given."""

    item_ids: Annotated[tuple[_Text, ...], Field(max_length=MAX_ITEM_IDS)] = ()
    categories: tuple[_Path, ...] = ()
    """Paths from the top; an item under one of them."""
    brands: tuple[_Text, ...] = ()
    """Whatever their case."""
    min_price: float | None = Field(None, ge=0.0, allow_inf_nan=False)
    max_price: float | None = Field(None, ge=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _require_a_condition(self) -> Self:
        if not self.item_ids and not self.filter.has_conditions:
            raise ValueError("name item_ids, categories, brands, min_price or max_price")
        return self

    @property
    def filter(self) -> Filter:
        """All conditions but the ids."""
        return Filter(self.categories, self.brands, self.min_price, self.max_price)


class Occasion(_Table):
    """Requests that a rule applies to: those that meet all conditions that are given."""

    catalogue: _Text = DEFAULT_CATALOGUE
    query_words: tuple[_Text, ...] = ()
    """The query holds one of these words, whatever their case."""
    history: ItemCondition | None = None
    """The shopper's history holds such an item."""
    placements: tuple[Placement, ...] = ()
    """The items are shown in one of these; empty for all."""


class _Rule(_Table):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """Shown with the items that it moved, and in the log."""
    when: Occasion = Occasion()
    valid_from: datetime | None = Field(None, strict=True)
    valid_until: datetime | None = Field(None, strict=True)
    """The rule applies before it. A date, and a time without a zone, are of UTC."""

    @field_validator("valid_from", "valid_until", mode="before")
    @classmethod
    def _to_utc(cls, value: object) -> object:
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else value

    @model_validator(mode="after")
    def _require_a_time(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until is not after valid_from")
        return self

    def is_valid_at(self, time: datetime) -> bool:
        """Tell whether the rule is in force at a time."""
        begun = self.valid_from is None or self.valid_from <= time
        return begun and (self.valid_until is None or time < self.valid_until)


class _ItemRule(_Rule):
    items: ItemCondition


class Exclude(_ItemRule):
    """Items that are not shown."""

    action: Literal["exclude"]


class ExcludeBought(_ItemRule):
    """Items that are not shown to shoppers who bought the same one lately."""

    action: Literal["exclude_bought"]
    days: float = Field(gt=0.0, le=36_500.0)


class Boost(_ItemRule):
    """Items that are shown earlier or later."""

    action: Literal["boost"]
    amount: float = Field(ge=-_MAX_AMOUNT, le=_MAX_AMOUNT)
    """Added to the score, in nats: .7 makes an item about twice as likely beside the others, -.7 half as likely."""


class Limit(_ItemRule):
    """Items of which only some are shown."""

    action: Literal["limit"]
    count: int = Field(ge=0, le=1_000)


class Pin(_ItemRule):
    """Items that have fixed places."""

    action: Literal["pin"]
    position: int = Field(1, ge=1, le=1_000)
    """The place of the first; the others follow. One that a filter or a rule excludes leaves its place to the next."""

    @model_validator(mode="after")
    def _require_ids(self) -> Self:
        _require_few_ids("items", self.items)
        return self


class Diversify(_Rule):
    """A list of which no item is much like one above it."""

    action: Literal["diversify"]
    amount: float = Field(gt=0.0, le=_MAX_AMOUNT)
    """Nats that an item loses whose vector is that of an item above it; less, the less alike they are."""


class _PairRule(_ItemRule):
    """Pairs of `items` and `other_items` on the shelf of their kind."""

    kind: PairKind
    other_items: ItemCondition


class Relate(_PairRule):
    """Items that belong together, whatever the release says: the named ones come first."""

    action: Literal["relate"]

    @model_validator(mode="after")
    def _require_ids(self) -> Self:
        _require_few_ids("other_items", self.other_items)
        return self


class Unrelate(_PairRule):
    """Items that do not belong together, whatever the release says."""

    action: Literal["unrelate"]


def _require_few_ids(key: str, items: ItemCondition) -> None:
    if not 1 <= len(items.item_ids) <= MAX_PLACED_IDS or items.filter.has_conditions:
        raise ValueError(f"{key} takes 1 to {MAX_PLACED_IDS} item_ids, and nothing else")


Rule = Exclude | ExcludeBought | Boost | Limit | Pin | Diversify | Relate | Unrelate


class _File(_Table):
    rules: Annotated[tuple[Annotated[Rule, Field(discriminator="action")], ...], Field(max_length=MAX_RULES)] = ()

    @field_validator("rules")
    @classmethod
    def _require_distinct_names(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.name for rule in rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules have the name {twice[0]}")
        return rules


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a file of rules, in its order.

    Raises:
        RulesError: it can't be read, or a rule breaks a limit.
    """
    try:
        return read_toml_file(path, _File).rules
    except TomlFileError as error:
        # Numbers of rules are told as such, in place of paths into the model.
        raise RulesError(f"rules: {_RULE.sub('rule ', str(error))}") from None
