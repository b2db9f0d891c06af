"""Releases that somebody damaged, by accident or not: refused in one line that names the first file at fault."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny_release
from typer.testing import CliRunner, Result

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.relations import TITLE, Relations
from portrait.features.files.array_archive import write_arrays
from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MAX_RELEASE
from portrait.features.release.manifest import MAX_MANIFEST_BYTES, Manifest, ReleaseError
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table import DESCRIPTION_FILE
from portrait.server.release.release import Release
from portrait.server.rollout.commands import release
from portrait.server.rollout.traffic import Traffic, TrafficError, file_of

Damage = Callable[[Path], object]


@pytest.fixture(scope="session")
def two_whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases 1 and 2, of which 2 has traits. Not to be changed."""
    repository = tmp_path_factory.mktemp("two_whole")
    tiny_release.build(repository, 1)
    tiny_release.build(repository, 2, traits=True)
    return repository


@pytest.fixture
def repository(two_whole: Path, tmp_path: Path) -> Path:
    """Both, release 1 serves; tests damage 2."""
    copy = tmp_path / "repository"
    shutil.copytree(two_whole, copy)
    Traffic(1).write(copy)
    return copy


def run(repository: Path, *arguments: str) -> Result:
    return CliRunner().invoke(release, [*arguments, "--repository", str(repository)], env={"COLUMNS": "1000"})


def held(repository: Path, name: str) -> Path:
    return release_layout.release_folder(repository, 2) / name


def manifest_of(repository: Path) -> Path:
    return held(repository, release_layout.MANIFEST)


def edited(**changes: object) -> Damage:
    """The manifest with other fields."""

    def damage(repository: Path) -> None:
        path = manifest_of(repository)
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return damage


def written(content: bytes) -> Damage:
    """Something else in place of the manifest."""
    return lambda repository: manifest_of(repository).write_bytes(content)


def hashed(edit: Callable[[dict[str, str]], object]) -> Damage:
    """The manifest with other hashes."""

    def damage(repository: Path) -> None:
        path = manifest_of(repository)
        manifest = json.loads(path.read_text(encoding="utf-8"))
        edit(manifest["hashes"])
        path.write_text(json.dumps(manifest), encoding="utf-8")

    return damage


def replaced(name: str, place: Callable[[Path], object]) -> Damage:
    """Something else in place of a file of the release's folder."""

    def damage(repository: Path) -> None:
        path = held(repository, name)
        path.unlink()
        place(path)

    return damage


def rewritten(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Another content of a file, of which the manifest has the right hash."""

    def damage(repository: Path) -> None:
        path = held(repository, name)
        path.write_bytes(change(path.read_bytes()))
        hashed(lambda hashes: hashes.update({f"releases/2/{name}": sha256(path)}))(repository)

    return damage


def array(name: str, change: Callable[[Any], Any]) -> Damage:
    """Another array in a file, of which the manifest has the right hash."""

    def damage(repository: Path) -> None:
        path = held(repository, name)
        changed = change(np.load(path))
        with path.open("wb") as file:
            np.save(file, changed)
        rewritten(name, bytes)(repository)

    return damage


def relation(change: Callable[[Associations], Associations] | None) -> Damage:
    """Another matrix among the relations, or one less, of which the manifest has the right hash."""

    def damage(repository: Path) -> None:
        path = held(repository, release_layout.RELATIONS)
        changed = change(Relations.load(path).by_name[TITLE]) if change else None
        with np.load(path) as file:
            arrays = {name: array for name, array in file.items() if not name.startswith(TITLE)}
        if changed is not None:
            arrays |= {f"{TITLE}.{each.name}": np.asarray(getattr(changed, each.name)) for each in fields(changed)}
        write_arrays(path, arrays)
        rewritten(release_layout.RELATIONS, bytes)(repository)

    return damage


def outside(path: Path) -> Path:
    """A copy of a file of release 1, beside the repository."""
    folder = path.parents[3]
    source = folder / "repository" / "releases" / "1" / path.name
    return Path(shutil.copy(source, folder / f"outside-{path.name}"))


def linked_folder(repository: Path) -> None:
    """A folder of columns that lies elsewhere, with the right files."""
    columns = held(repository, release_layout.ITEM_COLUMNS)
    elsewhere = repository.parent / "columns"
    columns.rename(elsewhere)
    columns.symlink_to(elsewhere)


def linked_model(repository: Path) -> None:
    elsewhere = repository.parent / "ranker"
    (repository / "ranker" / "2").rename(elsewhere)
    (repository / "ranker" / "2").symlink_to(elsewhere)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nan(values: Any) -> Any:
    values = values.copy()
    values.flat[0] = np.nan
    return values


def other_neighbour(values: Any) -> Any:
    values = values.copy()
    values["rows"][0, 0] = 10_000
    return values


DEEP = b'{"release": 2, "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

HOSTILE: dict[str, tuple[Damage, str]] = {
    # the set of files
    "no hashes": (edited(hashes={}), "profile_encoder/2/model.onnx"),
    "a hash less": (hashed(lambda hashes: hashes.pop("releases/2/items.jsonl")), "items.jsonl"),
    "a hash less of a model": (hashed(lambda hashes: hashes.pop("ranker/2/model.onnx")), "ranker/2/model.onnx"),
    "a hash less of a column": (hashed(lambda hashes: hashes.pop("releases/2/item_columns/ids.npy")), "ids.npy"),
    "a hash less of the heads": (hashed(lambda hashes: hashes.pop("trait_heads/2/model.onnx")), "trait_heads"),
    "a path upwards": (hashed(lambda hashes: hashes.update({"../../etc/hostname": "0" * 64})), "../../etc/hostname"),
    "a path of the machine": (hashed(lambda hashes: hashes.update({"/etc/hostname": "0" * 64})), "/etc/hostname"),
    "a path with a break": (hashed(lambda hashes: hashes.update({"a\nb": "0" * 64})), r"a\nb"),
    "a path by another way": (
        hashed(lambda hashes: hashes.update({"releases/2/../2/items.jsonl": hashes.pop("releases/2/items.jsonl")})),
        "items.jsonl",
    ),
    "a file of another release": (hashed(lambda hashes: hashes.update({"ranker/1/model.onnx": "0" * 64})), "ranker/1"),
    "an index that it does not have": (
        hashed(lambda hashes: hashes.update({"releases/2/item_index.faiss": "0" * 64})),
        "item_index.faiss",
    ),
    "no traits, but heads": (edited(traits=[], statistics=[]), "trait_heads/2/model.onnx"),
    "a file more": (lambda repository: held(repository, "more").touch(), "releases/2/more"),
    "a hidden file more": (lambda repository: held(repository, ".more").touch(), "releases/2/.more"),
    "a folder more": (lambda repository: held(repository, "more").mkdir(), "releases/2/more"),
    "a report that has no hash": (lambda repository: held(repository, release_layout.REPORT).touch(), "report.html"),
    "an index that has no hash": (
        lambda repository: held(repository, release_layout.ITEM_INDEX).touch(),
        "item_index.faiss",
    ),
    "a column more": (
        lambda repository: held(repository, f"{release_layout.ITEM_COLUMNS}/more.npy").touch(),
        "more.npy",
    ),
    "a file more beside a model": (
        lambda repository: (repository / "ranker" / "2" / "model.onnx.data").touch(),
        "ranker/2/model.onnx.data",
    ),
    "a missing file": (
        lambda repository: held(repository, release_layout.PROFILE_DISTRIBUTION).unlink(),
        "profile_distribution.npz",
    ),
    "a missing model": (lambda repository: shutil.rmtree(repository / "ranker" / "2"), "ranker/2/model.onnx"),
    "missing columns": (
        lambda repository: shutil.rmtree(held(repository, release_layout.ITEM_COLUMNS)),
        "item_columns/",
    ),
    # what stands in a file's place
    "a wrong hash": (
        hashed(lambda hashes: hashes.update({"releases/2/document_frequencies.json": "0" * 64})),
        "document_frequencies.json",
    ),
    "a hash that is none": (
        hashed(lambda hashes: hashes.update({"releases/2/document_frequencies.json": "x"})),
        "document_frequencies.json",
    ),
    "a link that leads out": (
        replaced(release_layout.DOCUMENT_FREQUENCIES, lambda path: path.symlink_to(outside(path))),
        "document_frequencies.json",
    ),
    "a link to itself": (
        replaced(release_layout.DOCUMENT_FREQUENCIES, lambda path: path.symlink_to(path)),
        "document_frequencies.json",
    ),
    "a link to nothing": (
        replaced(release_layout.DOCUMENT_FREQUENCIES, lambda path: path.symlink_to("nothing")),
        "document_frequencies.json",
    ),
    "a folder of columns elsewhere": (linked_folder, "item_columns/"),
    "a folder of a model elsewhere": (linked_model, "ranker/2/model.onnx"),
    "a pipe": (replaced(release_layout.TOKENIZER, os.mkfifo), "tokenizer.json"),
    "a device": (replaced(release_layout.TOKENIZER, endless), "tokenizer.json"),
    "a folder": (replaced(release_layout.TOKENIZER, Path.mkdir), "tokenizer.json"),
    # the manifest
    "a manifest of nothing": (written(b""), "manifest.json"),
    "a manifest of a list": (written(b"[]"), "manifest.json"),
    "a manifest that is not UTF-8": (written(b'{"release": "\xff"}'), "manifest.json"),
    "a deep manifest": (written(DEEP), "manifest.json"),
    "a huge manifest": (lambda repository: os.truncate(manifest_of(repository), MAX_MANIFEST_BYTES + 1), "manifest"),
    "a manifest of another release": (edited(release=1), "release 1"),
    "a release beyond 64 bits": (edited(release=2**64), "release"),
    "hashes in a list": (edited(hashes=[]), "hashes"),
    "a dimension in words": (edited(dimension="16"), "dimension"),
    "a dimension that is a switch": (edited(dimension=True), "dimension"),
    "no dimension at all": (edited(dimension=float("nan")), "manifest.json"),
    "a dimension without end": (edited(dimension=float("inf")), "manifest.json"),
    "subspaces of nothing": (edited(subspaces=0), "subspaces"),
    "subspaces that do not fit": (edited(subspaces=5), "subspaces"),
    "a field more": (edited(more=1), "more"),
    "a date over two lines": (edited(created_at="2026\nrelease 2 is whole"), "created_at"),
    "traits that are numbers": (edited(traits=[1]), "traits"),
    "a manifest that is a folder": (replaced(release_layout.MANIFEST, Path.mkdir), "manifest.json"),
    "a manifest that is a pipe": (replaced(release_layout.MANIFEST, os.mkfifo), "manifest.json"),
    "a manifest that is a device": (replaced(release_layout.MANIFEST, endless), "manifest.json"),
    "a manifest elsewhere": (
        replaced(release_layout.MANIFEST, lambda path: path.symlink_to(outside(path))),
        "manifest.json",
    ),
}
UNSOUND: dict[str, tuple[Damage, str]] = {
    "traits that are none": (edited(traits=[{}]), "manifest.json"),
    "a horizon without end": (
        edited(traits=[{**tiny_release.TRAITS[0], "horizon_days": 1e300}]),
        "manifest.json",
    ),
    "pairs of other items": (
        rewritten(release_layout.ITEM_PAIRS, lambda lines: lines.replace(b"jute-rug-red", b"no-rug")),
        "item_pairs.csv can't be read: ValueError: record 3 is no pair of items",
    ),
    "items cut short": (rewritten(release_layout.ITEMS, lambda lines: lines[: len(lines) // 2]), "items.jsonl"),
    "no items": (rewritten(release_layout.ITEMS, lambda lines: b""), "items.jsonl"),
    "a line that is no JSON": (rewritten(release_layout.ITEMS, lambda lines: b"x" + lines[1:]), "items.jsonl"),
    "a line that is not UTF-8": (
        rewritten(release_layout.ITEMS, lambda lines: lines.replace(b"Red", b"R\xffd", 1)),
        "items.jsonl",
    ),
    "another item's line": (
        rewritten(release_layout.ITEMS, lambda lines: lines.replace(b"lamp-red", b"lamp-rad", 1)),
        "items.jsonl",
    ),
    "a title that is a number": (
        rewritten(release_layout.ITEMS, lambda lines: lines.replace(b'"Red desk lamp"', b"1234567890.1234", 1)),
        "items.jsonl",
    ),
    "columns of another type": (array("item_columns/price.npy", lambda price: price.astype("f4")), "items.jsonl"),
    "a code of nothing": (array("item_columns/brand.npy", lambda codes: codes + 1000), "items.jsonl"),
    "a full hash table": (array("item_columns/slots.npy", lambda slots: np.zeros_like(slots)), "items.jsonl"),
    "starts out of order": (array("item_columns/line_start.npy", lambda starts: starts[::-1].copy()), "items.jsonl"),
    "columns that are objects": (
        array("item_columns/price.npy", lambda price: np.array([{}] * len(price), dtype=object)),
        "items.jsonl",
    ),
    "codes that are none": (rewritten("item_columns/codes.json", lambda codes: b"{}"), "items.jsonl"),
    "words of items that are not there": (array("item_words/rows.npy", lambda rows: rows + 1000), "item_words"),
    "words of fewer items": (array("item_words/starts.npy", lambda starts: starts[:-1]), "item_words"),
    "words out of order": (array("item_words/vocabulary.npy", lambda words: words[::-1].copy()), "item_words"),
    "a vector that is no number": (array(release_layout.ITEM_VECTORS, nan), "item_vectors.npy"),
    "vectors less": (array(release_layout.ITEM_VECTORS, lambda vectors: vectors[:-1]), "item_vectors.npy"),
    "whole numbers as vectors": (
        array(release_layout.ITEM_VECTORS, lambda vectors: vectors.astype("i8")),
        "item_vectors.npy",
    ),
    "a sentence vector too many": (
        array(release_layout.SENTENCE_VECTORS, lambda vectors: np.ones((1, vectors.shape[1]), vectors.dtype)),
        "sentence_vectors.npy",
    ),
    "statistics of a single item": (array(release_layout.ITEM_STATISTICS, lambda values: values[0]), "item_statistics"),
    "a statistic less": (array(release_layout.ITEM_STATISTICS, lambda values: values[:, 1:]), "item_statistics.npy"),
    "a statistic that is no number": (array(release_layout.ITEM_STATISTICS, nan), "item_statistics.npy"),
    "a neighbour that is not there": (
        array(release_layout.COLD_START_NEIGHBOURS, other_neighbour),
        "cold_start_neighbours.npy",
    ),
    "relations that are none": (rewritten(release_layout.RELATIONS, lambda _: b"none"), "relations.npz"),
    "a relation less": (relation(None), "relations.npz"),
    "a relation to an item that is not there": (
        relation(lambda matrix: replace(matrix, items=matrix.items + 1)),
        "relations.npz",
    ),
    "a relation that is no number": (
        relation(lambda matrix: replace(matrix, weights=matrix.weights * np.float32("nan"))),
        "relations.npz",
    ),
    "relations of other items": (
        relation(lambda matrix: replace(matrix, starts=matrix.starts[:-1])),
        "relations.npz",
    ),
    "a quantile less": (
        rewritten(release_layout.PRICE_SCALE, lambda scale: json.dumps({"": json.loads(scale)[""][1:]}).encode()),
        "price_scale.json",
    ),
    "a tokenizer that can encode nothing": (
        rewritten(
            release_layout.TOKENIZER, lambda tokenizer: tokenizer.replace(b'"unk_token": "[UNK]"', b'"unk_token": "no"')
        ),
        "tokenizer.json",
    ),
    "prices that are none": (rewritten(release_layout.PRICE_SCALE, lambda _: b"[]"), "price_scale.json"),
    "words of a negative number": (
        rewritten(release_layout.DOCUMENT_FREQUENCIES, lambda _: b'{"documents": -5, "frequencies": {}}'),
        "document_frequencies.json",
    ),
    "deep words": (
        rewritten(release_layout.DOCUMENT_FREQUENCIES, lambda _: b"[" * 100_000),
        "document_frequencies.json",
    ),
    "a population that is none": (rewritten(release_layout.POPULATION, lambda _: b'{"version": 1}'), "population.json"),
    "profiles that are none": (
        rewritten(release_layout.PROFILE_DISTRIBUTION, lambda _: b"none"),
        "profile_distribution.npz",
    ),
}
"""Files that are as the manifest says, and were never sound."""


def test_what_is_built_is_whole(repository: Path) -> None:
    for number in (1, 2):
        manifest = Manifest.read(release_layout.release_folder(repository, number))
        assert manifest.hashes.keys() == manifest.required_files
        assert Release.load(repository, number).number == number
    assert "2        2026-01-01T00:00:00+00:00                  whole" in run(repository, "list").output


def test_a_report_is_a_file_that_a_release_may_have(repository: Path) -> None:
    held(repository, release_layout.REPORT).write_text("<html>", encoding="utf-8")
    rewritten(release_layout.REPORT, bytes)(repository)
    assert Release.load(repository, 2).number == 2


def test_a_measure_may_have_no_value(repository: Path) -> None:
    edited(metrics={"test": {"auc": float("nan"), "lift": float("inf")}})(repository)
    assert Release.load(repository, 2).number == 2


def test_a_link_within_the_repository_is_no_damage(repository: Path) -> None:
    shutil.move(held(repository, release_layout.TOKENIZER), repository / "shared.json")
    held(repository, release_layout.TOKENIZER).symlink_to(repository / "shared.json")
    assert Release.load(repository, 2).number == 2


@pytest.mark.slow
@pytest.mark.parametrize("case", [*HOSTILE, *UNSOUND])
def test_a_damaged_release_is_refused_in_one_line_that_names_the_file(repository: Path, case: str) -> None:
    damage, named = (HOSTILE | UNSOUND)[case]
    damage(repository)
    with pytest.raises(ReleaseError) as caught:
        Release.load(repository, 2)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert Release.load(repository, 1).number == 1


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_no_command_takes_a_damaged_release(repository: Path, case: str) -> None:
    damage, named = HOSTILE[case]
    damage(repository)
    shown = run(repository, "list")
    assert (shown.exit_code, shown.exception) == (0, None)
    lines = [line for line in shown.output.splitlines() if line.startswith("2")]
    assert all(named in line and not line.endswith("whole") for line in lines)
    for arguments in (["promote", "2"], ["canary", "2", "--percent", "5"]):
        done = run(repository, *arguments)
        assert done.exit_code == 2, done.output
        assert isinstance(done.exception, SystemExit)
        assert Traffic.read(repository) == Traffic(1)
    Traffic(1, 2).write(repository)
    done = run(repository, "rollback")
    assert (done.exit_code, Traffic.read(repository)) == (2, Traffic(1, 2))
    assert named in done.output or "holds no release 2" in done.output


@pytest.mark.parametrize("name", sorted(["²", "٣", "01", "-1", "+1", "1_0", "1 ", " 1", "1.tmp", "0", "", "1" * 5000]))
@pytest.mark.parametrize("folder", ["releases", "ranker"])
def test_other_folders_are_no_releases(repository: Path, folder: str, name: str) -> None:
    path = repository / folder / (name[:255] or ".hidden")
    shutil.copytree(repository / folder / "1", path)
    assert release_layout.list_releases(repository) == [1, 2]
    assert Traffic.of(repository) == Traffic(1)
    assert run(repository, "list").exit_code == 0


@pytest.mark.parametrize("number", [MAX_RELEASE + 1, 2**63, 10**30])
def test_a_number_that_triton_can_not_have_is_no_release(repository: Path, number: int) -> None:
    shutil.copytree(release_layout.release_folder(repository, 2), repository / "releases" / str(number))
    assert release_layout.list_releases(repository) == [1, 2]
    done = run(repository, "promote", str(number))
    assert (done.exit_code, Traffic.read(repository)) == (2, Traffic(1))
    with pytest.raises(TrafficError, match="a release is a number"):
        Traffic(number)


def test_a_file_named_like_a_release_is_none(repository: Path) -> None:
    (repository / "releases" / "3").touch()
    assert release_layout.list_releases(repository) == [1, 2]
    done = run(repository, "promote", "3")
    assert done.exit_code == 2
    assert "holds no release 3" in done.output


@pytest.mark.parametrize(
    "place",
    [
        Path.mkdir,
        os.mkfifo,
        endless,
        lambda path: path.write_bytes(b"[" * 60_000),
        lambda path: path.write_bytes(b'{"serving": 1' + b"0" * 5_000 + b"}"),
        lambda path: path.write_bytes(b'{"serving": 1, "canary": 2, "percent": 1' + b"0" * 400 + b"}"),
        lambda path: path.write_bytes(b'{"serving": 4294967296}'),
        lambda path: path.write_bytes(b'{"serving": 1e400}'),
        lambda path: path.write_bytes(b" " * 100_000),
    ],
)
@pytest.mark.parametrize("arguments", [["list"], ["promote", "2"], ["rollback"], ["canary", "2", "--percent", "5"]])
def test_traffic_that_is_none_ends_every_command(
    repository: Path, place: Callable[[Path], object], arguments: list[str]
) -> None:
    path = file_of(repository)
    path.unlink()
    place(path)
    done = run(repository, *arguments)
    assert done.exit_code == 2, done.output
    assert "traffic.json" in done.output
    assert "Traceback" not in done.output


def test_a_file_of_traffic_that_can_not_be_replaced_leaves_nothing_behind(repository: Path) -> None:
    path = file_of(repository)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=r"traffic\.json"):
        Traffic(2).write(repository)
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_other_folders_are_no_audience_tables(tmp_path: Path) -> None:
    for name in ("7", "²", "01", "-1", "9" * 30):
        (tmp_path / "one" / name).mkdir(parents=True)
        (tmp_path / "one" / name / DESCRIPTION_FILE).touch()
    assert TableSnapshots(tmp_path, "state").list_numbers("one") == [7]
