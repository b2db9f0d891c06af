"""The audience table: what a release says of every shopper, one row each, column by column on the disk.

<audiences>/<identity of the release>/<snapshot>/
    shopper.npy            bytes [shoppers]: the ids in UTF-8, each followed by a full stop (NumPy drops trailing NULs);
                           ascending, so that a row is found by bisection
    as_of.npy              int64 [shoppers]: microseconds since 1970; the moment that the row holds for
    last_event.npy         int64 [shoppers]: microseconds since 1970; `UNKNOWN_TIME` if the events carry no times
    tier.npy, segment.npy  uint8 [shoppers]: as in `value`; 0 if there is no value
    recency_score.npy, frequency_score.npy, monetary_score.npy    uint8 [shoppers]: 1 to 5; 0 if unknown
    interest_path.npy      uint32 [shoppers, MAX_INTERESTS]: places in `paths`, from 1; 0 for none
    interest_weight.npy    float32 [shoppers, MAX_INTERESTS]: the interest's long-term weight
    interest_confidence.npy    float32 [shoppers, MAX_INTERESTS]: the interest's confidence
    trait.npy              float32 [shoppers, traits]: probabilities; NaN if absent
    vector.npy             float16 [shoppers, dimension]: the profile; zeros if there is none
    table.json             written last: what the columns are of
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.files.atomic_write import atomic_write
from portrait.features.profiles.interests import MAX_INTERESTS
from portrait.server.profiles.profile import Profile
from portrait.server.timestamps import to_microseconds

DESCRIPTION_FILE = "table.json"
UNKNOWN_TIME = np.iinfo(np.int64).min
CHUNK_ROWS = 1 << 16
"""Rows that are looked at, or copied, at one time: they bound the memory, and how soon work can be given up."""

_KEY_END = b"."

Rows = NDArray[np.int64]
CategoryPath = tuple[str, ...]


@dataclass(frozen=True)
class TableDescription:
    """The description of a table: release, snapshot, and what its columns refer to."""

    release: int
    snapshot: int
    """Tells the tables of a release apart; a later one has a higher number."""
    created_at: str
    """ISO 8601, UTC."""
    shoppers: int
    dimension: int
    traits: list[str]
    """Names, in the order of the column."""
    paths: list[list[str]]
    """The nodes of the taxonomy that shoppers are interested in."""
    last_arrival: int
    """The last event that was recorded before the table was begun; what came later is not in it."""
    oldest_as_of: int
    """Microseconds since 1970; 0 if there are no shoppers."""
    newest_as_of: int
    state: str
    """Identity of the store whose events these are: `last_arrival` and `last_forgotten` count in it."""
    policy: str = ""
    """Identity of the sensitive topics that were withheld; rows under others do not fit."""
    last_forgotten: int = 0
    """The last time that a shopper was forgotten before the table was begun: who was later may still stand in it."""
    calibrations: list[dict[str, Any]] = field(default_factory=list)
    """The fields of each `TraitCalibration` that was known of the release when the table was made."""


class AudienceTable:
    """A table on the disk, mapped into memory: nothing is read before it is asked for.

    Args:
        description: what it is of.
        columns: by name, as the module says.
    """

    def __init__(self, description: TableDescription, columns: Mapping[str, NDArray[Any]]) -> None:
        self.description = description
        self._columns = columns
        self._paths = {tuple(path): place for place, path in enumerate(description.paths, start=1)}

    @classmethod
    def open(cls, folder: Path) -> "AudienceTable":
        """Map a table.

        Raises:
            OSError: a file of it can't be read.
            ValueError: the folder holds none, or a damaged one.
        """
        try:
            description = TableDescription(**json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8")))
            return cls(
                description,
                {
                    name: _map_column(folder, name, dtype, (description.shoppers, *shape))
                    for name, (dtype, shape) in list_columns(description, 1).items()
                },
            )
        except (EOFError, RecursionError, TypeError) as error:
            raise ValueError(f"{folder}: {error}") from error

    def __len__(self) -> int:
        return self.description.shoppers

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self._columns[column]

    def iterate_chunks(self) -> Iterator[slice]:
        """All rows, `CHUNK_ROWS` at a time."""
        for begin in range(0, len(self), CHUNK_ROWS):
            yield slice(begin, min(begin + CHUNK_ROWS, len(self)))

    def decode_path(self, place: int) -> CategoryPath:
        """The node of the taxonomy at a place of the column `interest_path`."""
        return tuple(self.description.paths[place - 1])

    def encode_path(self, path: CategoryPath) -> int | None:
        """The inverse of `path`; None if no shopper is interested in the node."""
        return self._paths.get(path)

    def shopper_ids(self, rows: Rows | slice) -> list[str]:
        """Ids of the shoppers of some rows."""
        return [key[: -len(_KEY_END)].decode() for key in self["shopper"][rows].tolist()]

    def find_rows(self, shopper_ids: Iterable[str]) -> Rows:
        """Rows of the shoppers that the table has, ascending, each once."""
        keys = np.array(sorted({encode_key(shopper_id) for shopper_id in shopper_ids}) or [_KEY_END])
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self["shopper"], keys), len(self) - 1)
        found: Rows = rows[self["shopper"][rows] == keys].astype(np.int64)
        return found


def list_columns(description: TableDescription, width: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type of each column, and its shape behind the rows.

    Args:
        description: of the table.
        width: bytes of the longest key of a shopper.
    """
    single: tuple[int, ...] = ()
    return {
        "shopper": (f"S{width}", single),
        "as_of": ("<i8", single),
        "last_event": ("<i8", single),
        **dict.fromkeys(("tier", "segment", "recency_score", "frequency_score", "monetary_score"), ("u1", single)),
        "interest_path": ("<u4", (MAX_INTERESTS,)),
        "interest_weight": ("<f4", (MAX_INTERESTS,)),
        "interest_confidence": ("<f4", (MAX_INTERESTS,)),
        "trait": ("<f4", (len(description.traits),)),
        "vector": ("<f2", (description.dimension,)),
    }


def encode_key(shopper_id: str) -> bytes:
    """Encode a shopper id as in the column `shopper`."""
    return shopper_id.encode() + _KEY_END


def write_description(description: TableDescription, folder: Path) -> None:
    """Say what the columns in a folder are of: from now on, the folder holds a table."""
    with atomic_write(folder / DESCRIPTION_FILE) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(description), ensure_ascii=False), encoding="utf-8")


def write_table(shoppers: Sequence[tuple[str, Profile]], description: TableDescription, folder: Path) -> None:
    """Write a table of profiles.

    Args:
        shoppers: ids and profiles with `interests`, `value`, `embedding` and `traits`; ascending by `encode_key`.
        description: of which release, snapshot, and events; the rest is filled in.
        folder: exists.
    """
    width = max((len(encode_key(shopper_id)) for shopper_id, _ in shoppers), default=1)
    paths: dict[CategoryPath, int] = {}
    columns = {
        name: np.zeros((len(shoppers), *shape), dtype=dtype)
        for name, (dtype, shape) in list_columns(description, width).items()
    }
    for row, (shopper_id, profile) in enumerate(shoppers):
        columns["shopper"][row] = encode_key(shopper_id)
        _fill_row(columns, row, profile, description, paths)
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    as_of = columns["as_of"].tolist()
    write_description(
        dataclasses.replace(
            description,
            shoppers=len(shoppers),
            paths=[list(path) for path in paths],
            oldest_as_of=min(as_of, default=0),
            newest_as_of=max(as_of, default=0),
        ),
        folder,
    )


def _fill_row(
    columns: Mapping[str, NDArray[Any]],
    row: int,
    profile: Profile,
    description: TableDescription,
    paths: dict[CategoryPath, int],
) -> None:
    columns["as_of"][row] = to_microseconds(profile.as_of)
    last = profile.last_event_time
    columns["last_event"][row] = UNKNOWN_TIME if last is None else to_microseconds(last)
    value = profile.customer_value
    if value is not None:
        columns["tier"][row], columns["segment"][row] = value.tier.value, value.segment.value
        columns["recency_score"][row], columns["frequency_score"][row] = value.recency_score, value.frequency_score
        columns["monetary_score"][row] = value.monetary_score or 0
    observed = [interest for interest in profile.interests if not interest.inferred]
    for place, interest in enumerate(observed):
        columns["interest_path"][row, place] = paths.setdefault(interest.category_path, len(paths) + 1)
        columns["interest_weight"][row, place] = interest.long_term_weight
        columns["interest_confidence"][row, place] = interest.confidence
    probabilities = {value.trait.name: value.probability for value in profile.traits}
    columns["trait"][row] = [
        np.nan if (chance := probabilities.get(name)) is None else chance for name in description.traits
    ]
    if profile.embedding is not None:
        columns["vector"][row] = profile.embedding


def _map_column(folder: Path, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A column; an empty one can't be mapped.

    Raises:
        OSError: it can't be read.
        ValueError, EOFError: it is none, or is of another type or shape; of text, the width does not count.
    """
    path = folder / f"{name}.npy"
    try:
        mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError:
        mapped = np.load(path)
    expected = np.dtype(dtype)
    if mapped.shape != shape or (mapped.dtype != expected and not mapped.dtype.kind == expected.kind == "S"):
        raise ValueError(f"{path} is no column {name} of the table")
    return mapped
