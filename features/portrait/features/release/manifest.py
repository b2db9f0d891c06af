"""The manifest of a release: what it is made of, how it came to be, and the hash of each of its files."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from portrait.features.files.atomic_write import atomic_write
from portrait.features.files.integrity import IntegrityError, verify_files
from portrait.features.files.regular_files import read_regular_file
from portrait.features.release.layout import (
    COLUMN_FILES,
    ITEM_COLUMNS,
    ITEM_INDEX,
    ITEM_PAIRS,
    ITEM_WORDS,
    MANDATORY_FILES,
    MANIFEST,
    MAX_RELEASE,
    MODEL_FILE,
    MODELS,
    REPORT,
    SENTENCE_VECTORS,
    TRAIT_HEADS,
    WORD_FILES,
    release_folder,
)

MAX_MANIFEST_BYTES = 16 << 20
"""A larger manifest is refused unread."""


class ReleaseError(Exception):
    """A release is missing, incomplete or not what its manifest says."""


@dataclass(frozen=True)
class Manifest:
    """Manifest of a release: its files, and how it came to be."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    release: Annotated[int, Field(ge=1, le=MAX_RELEASE)]
    created_at: Annotated[str, Field(pattern=r"^[0-9TZ:+.-]{1,40}$")]
    """ISO 8601, UTC."""
    portrait_version: str
    dimension: Annotated[int, Field(ge=1)]
    """Length of every vector."""
    subspaces: Annotated[int, Field(ge=1)]
    """Equal parts of every vector that are compared each by itself."""
    event_numbers: list[str]
    """Columns that the profile encoder was trained with; must equal `histories.EVENT_NUMBERS`."""
    candidate_features: list[str]
    """Columns that the ranker was trained with; must equal `candidates.CANDIDATE_FEATURES`."""
    hashes: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    """SHA-256 of each file, by its path below the model repository."""
    ranker_inputs: list[str] = field(default_factory=list)
    """Inputs of the ranker's graph; must equal `candidates.RANKER_INPUTS`. Earlier versions named none."""
    sentence_dimension: Annotated[int, Field(ge=0)] = 0
    """Length of the text encoder's `sentence_embedding`; 0 of earlier versions, whose releases have fewer files."""
    searches_read_past: bool = True
    """False if a search of products is ranked as that of a shopper who did nothing else."""
    data: dict[str, Any] = field(default_factory=dict)
    """Source, counts and span of time of the data set."""
    training: dict[str, Any] = field(default_factory=dict)
    """Base model, tuning, preset, split, seed."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Measurements of the run by `portrait evaluate`."""
    statistics: list[str] = field(default_factory=list)
    """Columns that heads of traits were trained with; must equal `statistics.STATISTICS` if it has such."""
    traits: list[dict[str, Any]] = field(default_factory=list)
    """Declared traits, in order: name, description, horizon and window in days, why it is absent or null; and of
    those that are not absent, the columns of `trait_heads`, calibration and what the test says."""
    export: dict[str, Any] = field(default_factory=dict)
    """Opset, precision, the worst difference of each parity check, and how the nearest items are found."""

    def write(self, folder: Path) -> None:
        """Write the manifest into a release's folder, all of it or nothing."""
        with atomic_write(folder / MANIFEST) as temporary:
            temporary.write_text(
                json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )

    @property
    def identity(self) -> str:
        """Tells the release from every other one, also from one that was made later with the same number."""
        content = json.dumps(self.hashes, sort_keys=True).encode()
        return f"{self.release}-{hashlib.sha256(content).hexdigest()[:12]}"

    @property
    def has_trait_heads(self) -> bool:
        """True if the release has the graph `trait_heads`: it has learnt one trait at least."""
        return any(not trait.get("absent") for trait in self.traits)

    @property
    def models(self) -> tuple[str, ...]:
        """The graphs of the release."""
        return (*MODELS, TRAIT_HEADS) if self.has_trait_heads else MODELS

    @property
    def has_item_index(self) -> bool:
        """True if the nearest items are found by an index."""
        retrieval = self.export.get("retrieval")
        return isinstance(retrieval, dict) and retrieval.get("kind") != "exact"

    @property
    def looked_at(self) -> int:
        """Rows that a search by codes compares, at least, as the export chose it; 0 without an index.

        Earlier exports gave the rows for each one wanted, fewer than any search compares.
        """
        retrieval = self.export.get("retrieval")
        told = retrieval.get("looked_at") if isinstance(retrieval, dict) else None
        return told if isinstance(told, int) else 0

    @property
    def search_milliseconds(self) -> float | None:
        """Milliseconds of a search of the nearest items, as the export measured them; None if it did not."""
        retrieval = self.export.get("retrieval")
        measured = retrieval.get("milliseconds") if isinstance(retrieval, dict) else None
        return float(measured) if isinstance(measured, int | float) else None

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a release's folder.

        Raises:
            ReleaseError: there is none, or it is not one.
        """
        try:
            content = read_regular_file(folder / MANIFEST, folder.parents[1], MAX_MANIFEST_BYTES)
            manifest = _READER.validate_json(content)
        except OSError as error:
            raise ReleaseError(f"{folder} holds no release: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"]))[:_QUOTED_CHARACTERS]
            raise ReleaseError(f"{folder} holds no release: {MANIFEST}: {place!r}: {first['msg']}") from error
        if manifest.dimension % manifest.subspaces:
            raise ReleaseError(f"{folder} holds no release: {MANIFEST}: dimension is no multiple of subspaces")
        return manifest

    @property
    def required_files(self) -> frozenset[str]:
        """The files that the release must have beside the manifest, by their paths below the model repository."""
        names = (
            MANDATORY_FILES
            | {f"{ITEM_COLUMNS}/{name}" for name in COLUMN_FILES}
            | {f"{ITEM_WORDS}/{name}" for name in WORD_FILES}
            | ({ITEM_INDEX} if self.has_item_index else set())
            | ({SENTENCE_VECTORS, ITEM_PAIRS} if self.sentence_dimension else set())
        )
        graphs = (f"{model}/{self.release}/{MODEL_FILE}" for model in self.models)
        return frozenset((*graphs, *(f"releases/{self.release}/{name}" for name in names)))

    def verify_files(self, repository: Path) -> None:
        """Check that the release has exactly the files that it must have, each as it was when it was made.

        Raises:
            ReleaseError: it has not; the message names the first file at fault.
        """
        own = f"releases/{self.release}"
        parts = (f"{own}/{folder}" for folder in (ITEM_COLUMNS, ITEM_WORDS))
        folders = [own, *parts, *(f"{model}/{self.release}" for model in (*MODELS, TRAIT_HEADS))]
        try:
            verify_files(
                repository, self.hashes, self.required_files, {f"{own}/{REPORT}"}, folders, f"{own}/{MANIFEST}"
            )
        except IntegrityError as error:
            raise ReleaseError(f"release {self.release} is damaged: {error}") from error


_READER = TypeAdapter(Manifest)
_QUOTED_CHARACTERS = 200


def read_verified_manifest(repository: Path, release: int) -> Manifest:
    """Read the manifest of a release and check all its files.

    Raises:
        ReleaseError: there is no such release, or it is damaged; the message names the first file at fault.
    """
    path = release_folder(repository, release)
    manifest = Manifest.read(path)
    if manifest.release != release:
        raise ReleaseError(f"{path} holds no release: {MANIFEST} is that of release {manifest.release}")
    manifest.verify_files(repository)
    return manifest
