"""Releases of an archive that are used only if an accepted key has signed them, and all of them is as it was."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.release_contents import hash_release

from portrait.features.release import layout as release_layout
from portrait.features.release.archive.archive import Archive
from portrait.features.release.archive.bundle import Bundle, BundleFile
from portrait.features.release.archive.pull import pull_release
from portrait.features.release.archive.push import push_release
from portrait.features.release.archive.signatures import read_sign_key, read_verify_keys, seal
from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError


def test_only_releases_that_an_accepted_key_has_signed_are_pulled(
    pushed_from: Path, archive: Archive, target: Path, keys: Path
) -> None:
    old, new = (read_verify_keys(keys / f"{name}.pub") for name in ("old", "new"))
    push_release(pushed_from, 1, archive, None)
    with pytest.raises(ReleaseError, match=r"release 1 at .* is refused: it is not signed"):
        pull_release(target, 1, archive, old)
    push_release(pushed_from, 1, archive, read_sign_key(keys / "old.pem"))
    with pytest.raises(ReleaseError, match=r"is signed by the key [0-9a-f]{16}, which is not accepted"):
        pull_release(target, 1, archive, new)
    assert list_releases(target) == []
    assert pull_release(target, 1, archive, old)
    push_release(pushed_from, 1, archive, None)  # takes no signature away
    assert not pull_release(target, 1, archive, (*old, *new))


def test_keys_are_rotated_without_a_moment_in_which_nothing_is_accepted(
    pushed_from: Path, archive: Archive, target: Path, keys: Path, tmp_path: Path
) -> None:
    push_release(pushed_from, 1, archive, read_sign_key(keys / "old.pem"))
    both = tmp_path / "both.pub"
    both.write_bytes((keys / "old.pub").read_bytes() + (keys / "new.pub").read_bytes())
    assert pull_release(target, 1, archive, read_verify_keys(both))
    # The release was pulled, but it is the old key that has signed it.
    new = read_verify_keys(keys / "new.pub")
    with pytest.raises(ReleaseError, match="not accepted"):
        pull_release(target, 1, archive, new)
    assert push_release(pushed_from, 1, archive, read_sign_key(keys / "new.pem")).uploaded == 0
    assert not pull_release(target, 1, archive, new)


def test_a_release_is_signed_anew_though_its_configurations_were_tuned_since(
    pushed_from: Path, folder_archive: Archive, target: Path, keys: Path, tmp_path: Path
) -> None:
    push_release(pushed_from, 1, folder_archive, read_sign_key(keys / "old.pem"))
    tuned = tmp_path / "tuned"
    shutil.copytree(pushed_from, tuned)
    (tuned / "ranker" / release_layout.CONFIGURATION).write_text("# ours", encoding="utf-8")
    assert push_release(tuned, 1, folder_archive, read_sign_key(keys / "new.pem")).uploaded == 0
    assert pull_release(target, 1, folder_archive, read_verify_keys(keys / "new.pub"))
    assert hash_release(target, 1) == hash_release(pushed_from, 1)


def test_what_was_pulled_needs_the_archive_no_more(
    pushed_from: Path, folder_archive: Archive, target: Path, tmp_path: Path, keys: Path
) -> None:
    verify = read_verify_keys(keys / "old.pub")
    push_release(pushed_from, 1, folder_archive, read_sign_key(keys / "old.pem"))
    pull_release(target, 1, folder_archive, verify)
    shutil.rmtree(tmp_path / "archive")
    assert not pull_release(target, 1, folder_archive, verify)
    # What is there is still held against the signed list.
    manifest = release_layout.release_folder(target, 1) / release_layout.MANIFEST
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(ReleaseError, match="holds another release 1 than the archive"):
        pull_release(target, 1, folder_archive, verify)


def object_path(archive: Archive, sha256: str) -> Path:
    """Place of a file of release 1 in an archive that is a folder."""
    return Path(archive.url.removeprefix("file://")) / "1" / sha256


def swap(pushed_from: Path, archive: Archive, keys: Path) -> None:
    """Put the valid bundle of one release in place of another's."""
    key = read_sign_key(keys / "old.pem")
    push_release(pushed_from, 2, archive, key)
    other = archive.read_bundle(2)
    assert other is not None
    archive.replace_bundle(1, other)


def change_payload(pushed_from: Path, archive: Archive, keys: Path) -> None:
    """Another payload below the signature."""
    envelope, other = archive.read_bundle(1), seal(b"{}", None)
    assert envelope is not None
    payload = other.partition(b'"payload":"')[2].partition(b'"')[0]
    before, _, rest = envelope.partition(b'"payload":"')
    archive.replace_bundle(1, before + b'"payload":"' + payload + b'"' + rest.partition(b'"')[2])


def change_file(pushed_from: Path, archive: Archive, keys: Path) -> None:
    """A file of the same size, under the name of the right hash."""
    bundle = Bundle.build(pushed_from, 1)
    file = bundle.files["ranker/1/model.onnx"]
    object_path(archive, file.sha256).write_bytes(b"x" * file.size)


def lengthen_file(pushed_from: Path, archive: Archive, keys: Path) -> None:
    file = Bundle.build(pushed_from, 1).files["ranker/1/model.onnx"]
    object_path(archive, file.sha256).write_bytes(b"x" * (file.size + 1))


def lose_file(pushed_from: Path, archive: Archive, keys: Path) -> None:
    file = Bundle.build(pushed_from, 1).files["ranker/1/model.onnx"]
    object_path(archive, file.sha256).unlink()


def lead_elsewhere(pushed_from: Path, archive: Archive, keys: Path) -> None:
    """A signed list with a path that leads out of the repository."""
    bundle = Bundle.build(pushed_from, 1)
    bundle.files["../../elsewhere"] = bundle.manifest
    archive.replace_bundle(1, seal(bundle.to_json(), read_sign_key(keys / "old.pem")))


def lead_elsewhere_by_the_manifest(pushed_from: Path, archive: Archive, keys: Path) -> None:
    """A signed list whose manifest names a file outside of the repository too."""
    bundle, path = Bundle.build(pushed_from, 1), "releases/1/manifest.json"
    manifest = json.loads((pushed_from / path).read_bytes())
    manifest["hashes"]["../../elsewhere"] = bundle.manifest.sha256
    content = json.dumps(manifest).encode()
    bundle.files["../../elsewhere"] = bundle.manifest
    bundle.files[path] = BundleFile(hashlib.sha256(content).hexdigest(), len(content))
    object_path(archive, bundle.manifest.sha256).write_bytes(content)
    archive.replace_bundle(1, seal(bundle.to_json(), read_sign_key(keys / "old.pem")))


def write_nothing(pushed_from: Path, archive: Archive, keys: Path) -> None:
    archive.replace_bundle(1, b"\xff" * 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap, "release 1 at .* is refused: it is that of release 2"),
        (change_payload, "release 1 at .* is refused: its signature does not fit"),
        (change_file, r"ranker/1/model\.onnx of release 1 at .* is not what the signed list says"),
        (lengthen_file, r"ranker/1/model\.onnx of release 1 at .* is not what the signed list says"),
        (lose_file, r"lacks 'ranker/1/model\.onnx' of release 1"),
        (lead_elsewhere, r"release 1 at .* is refused: it names '\.\./\.\./elsewhere'"),
        (lead_elsewhere_by_the_manifest, r"release 1 at .* is refused: it names '\.\./\.\./elsewhere'"),
        (write_nothing, "release 1 at .* is refused: it is no signed document"),
    ],
)
def test_what_was_changed_in_the_archive_is_refused(
    pushed_from: Path,
    folder_archive: Archive,
    target: Path,
    keys: Path,
    change: Callable[[Path, Archive, Path], None],
    said: str,
) -> None:
    push_release(pushed_from, 1, folder_archive, read_sign_key(keys / "old.pem"))
    change(pushed_from, folder_archive, keys)
    for _ in range(2):
        with pytest.raises(ReleaseError, match=said):
            pull_release(target, 1, folder_archive, read_verify_keys(keys / "old.pub"))
    assert list_releases(target) == []
    assert not (target.parent / "elsewhere").exists()
