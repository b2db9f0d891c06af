"""A traits file: TOML that declares each trait by name, horizon and label."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.training.errors import DeclarationError

MAX_TRAITS = 64
MIN_WINDOW_HORIZONS = 3
"""Minimum window of a trait in horizons: a week of history can't predict a month."""
MAX_DAYS = 3650

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELDS = {"name", "description", "horizon_days", "window_days", "label", "table"}
_LABEL_FILES = (".parquet", ".csv")


@dataclass(frozen=True)
class Trait:
    """One trait, as declared."""

    name: str
    description: str
    horizon_days: int
    """The label is about so many days after the moment."""
    window_days: int
    """It is about shoppers with an event in so many days up to the moment."""
    label: str | None
    """SQL that gives `shopper_id` and `label`; see `labels`."""
    table: Path | None
    """Or a table of the team's own labels: `shopper_id`, `time`, `value`."""


@dataclass(frozen=True)
class Declarations:
    """Content of a traits file."""

    file: Path
    traits: tuple[Trait, ...]

    def error(self, trait: Trait, message: str) -> DeclarationError:
        """Make the error of a trait's label."""
        return DeclarationError(str(self.file), trait.name, "label" if trait.label else "table", message)


def read_declarations(file: Path) -> Declarations:
    """Read a traits file.

    Raises:
        DeclarationError: the file is missing, is no TOML, or declares something wrong.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DeclarationError(str(file), None, None, f"can't be read as TOML: {error}") from error
    if unknown := sorted(content.keys() - {"trait"}):
        raise DeclarationError(str(file), None, unknown[0], "there is no such field; declare traits as [[trait]]")
    declared = content.get("trait")
    if not isinstance(declared, list) or not 1 <= len(declared) <= MAX_TRAITS:
        raise DeclarationError(str(file), None, "trait", f"declare 1 to {MAX_TRAITS} traits, each as [[trait]]")
    traits = tuple(_parse_trait(file, place, fields) for place, fields in enumerate(declared, start=1))
    names = [trait.name for trait in traits]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DeclarationError(str(file), twice[0], "name", "two traits have this name")
    return Declarations(file, traits)


def _parse_trait(file: Path, place: int, fields: Any) -> Trait:
    if not isinstance(fields, dict):
        raise DeclarationError(str(file), f"number {place}", None, "declare each trait as [[trait]]")
    name = fields.get("name")
    called = name if isinstance(name, str) and name else f"number {place}"

    def wrong(field: str, message: str) -> DeclarationError:
        return DeclarationError(str(file), called, field, message)

    if unknown := sorted(fields.keys() - _FIELDS):
        raise wrong(unknown[0], f"there is no such field; there are {', '.join(sorted(_FIELDS))}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong("name", "give 1 to 64 small letters, digits and _, a letter first")
    description = fields.get("description", "")
    if not isinstance(description, str) or len(description) > 500:
        raise wrong("description", "give a text of at most 500 characters")
    horizon = _parse_days(fields.get("horizon_days"))
    if horizon is None:
        raise wrong("horizon_days", f"give whole days, 1 to {MAX_DAYS}")
    window = _parse_days(fields.get("window_days", MIN_WINDOW_HORIZONS * horizon))
    if window is None or window < MIN_WINDOW_HORIZONS * horizon:
        raise wrong(
            "window_days", f"give at least {MIN_WINDOW_HORIZONS} times horizon_days, {MIN_WINDOW_HORIZONS * horizon}"
        )
    label, table = fields.get("label"), fields.get("table")
    if (label is None) == (table is None):
        raise wrong("label", "give either label, an SQL query, or table, a file of labels")
    if label is not None and (not isinstance(label, str) or not label.strip()):
        raise wrong("label", "give an SQL query")
    return Trait(
        name, description, horizon, window, label, None if table is None else _resolve_table(file, table, wrong)
    )


def _parse_days(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 1 <= value <= MAX_DAYS else None


def _resolve_table(file: Path, value: Any, wrong: Any) -> Path:
    """A path is read from the traits file's own folder."""
    if not isinstance(value, str) or not value.endswith(_LABEL_FILES):
        raise wrong("table", f"name a file that ends with {' or '.join(_LABEL_FILES)}")
    path = file.parent / value
    if not path.is_file():
        raise wrong("table", f"{path} is missing")
    return path
