"""Releases that are pushed to a folder and to a real S3 server, and pulled: whole, or not at all."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from support import tiny_release
from support.s3_server import run_s3

from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.features.release.archive import pull as pulling
from portrait.features.release.archive.archive import Archive, open_archive
from portrait.features.release.archive.bundle import Bundle, BundleFile
from portrait.features.release.archive.pull import pull_release
from portrait.features.release.archive.push import push_release
from portrait.features.release.archive.signatures import read_sign_key, read_verify_keys, seal
from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError, read_verified_manifest


@pytest.fixture(scope="module")
def pushed_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with releases 1 and 2, of which 2 has traits. Not to be changed."""
    repository = tmp_path_factory.mktemp("pushed_from")
    tiny_release.build(repository, 1)
    tiny_release.build(repository, 2, traits=True)
    return repository


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with run_s3() as url:
        yield url


@pytest.fixture(params=["file", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty archive."""
    if request.param == "file":
        return open_archive(f"file://{tmp_path}/archive")
    return open_archive(f"{request.getfixturevalue('bucket')}/{uuid4().hex}/of one shop")


@pytest.fixture
def folder_archive(tmp_path: Path) -> Archive:
    return open_archive(f"file://{tmp_path}/archive")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of keys as OpenSSL makes them: `old.pem` and `old.pub`, `new.pem` and `new.pub`."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("old", "new"):
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return folder


def contents(repository: Path, release: int) -> dict[str, str]:
    """The hashes of a release's files and of the models' configurations."""
    manifest = read_verified_manifest(repository, release)
    configurations = [f"{model}/{release_layout.CONFIGURATION}" for model in manifest.models]
    return manifest.hashes | {name: sha256(repository / name) for name in configurations}


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """Have a method of archives fail, as in a process that is killed, once it was called so many times."""
    method, calls = getattr(Archive, name), []

    def call(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > after:
            raise KeyboardInterrupt
        return method(*arguments)

    monkeypatch.setattr(Archive, name, call)


def test_what_is_pushed_is_pulled(pushed_from: Path, archive: Archive, target: Path) -> None:
    assert archive.list_releases() == []
    pushed = push_release(pushed_from, 2, archive, None)
    assert pushed.files == pushed.uploaded > 20
    assert archive.list_releases() == [2]
    assert pull_release(target, 2, archive, ())
    assert contents(target, 2) == contents(pushed_from, 2)
    assert list_releases(target) == [2]
    assert not pull_release(target, 2, archive, ())
    push_release(pushed_from, 1, archive, None)
    assert pull_release(target, 1, archive, ())
    assert contents(target, 1) == contents(pushed_from, 1)
    assert archive.list_releases() == list_releases(target) == [1, 2]


def test_a_push_that_was_interrupted_leaves_no_release_and_goes_on(
    pushed_from: Path, archive: Archive, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, after in (("upload", 5), ("create_bundle", 0)):
        with monkeypatch.context() as patch:
            interrupt(patch, name, after)
            with pytest.raises(KeyboardInterrupt):
                push_release(pushed_from, 1, archive, None)
        assert archive.list_releases() == []
        with pytest.raises(ReleaseError, match="holds no release 1; those there are: none"):
            pull_release(target, 1, archive, ())
    assert push_release(pushed_from, 1, archive, None).uploaded == 0
    assert pull_release(target, 1, archive, ())


def test_a_pull_that_was_interrupted_leaves_no_release_and_goes_on(
    pushed_from: Path, archive: Archive, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_release(pushed_from, 1, archive, None)
    with monkeypatch.context() as patch:
        interrupt(patch, "download", 10)
        with pytest.raises(KeyboardInterrupt):
            pull_release(target, 1, archive, ())
    assert list_releases(target) == []
    with monkeypatch.context() as patch:  # ten files are there already, the manifest among them
        interrupt(patch, "download", len(contents(pushed_from, 1)) + 2 - 10)
        assert pull_release(target, 1, archive, ())
    assert contents(target, 1) == contents(pushed_from, 1)
    assert not list((target / "releases").glob(".pull-*"))


@pytest.mark.parametrize("after", range(5))
def test_a_move_that_was_interrupted_leaves_no_release_and_goes_on(
    pushed_from: Path, folder_archive: Archive, target: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    moved = 0
    replace = pulling._replace_folder

    def replace_some(source: Path, target: Path) -> None:
        nonlocal moved
        if moved == after:
            raise KeyboardInterrupt
        moved += 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "_replace_folder", replace_some)
        if after < 4:  # three graphs and the release's folder
            with pytest.raises(KeyboardInterrupt):
                pull_release(target, 1, folder_archive, ())
            assert list_releases(target) == []
    pull_release(target, 1, folder_archive, ())
    assert contents(target, 1) == contents(pushed_from, 1)


def test_many_pull_the_same_at_once(pushed_from: Path, folder_archive: Archive, target: Path) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    with ThreadPoolExecutor(4) as threads:
        pulls = [threads.submit(pull_release, target, 1, folder_archive, ()) for _ in range(4)]
    assert sorted(pull.result() for pull in pulls) == [False, False, False, True]
    assert contents(target, 1) == contents(pushed_from, 1)


def test_a_damaged_release_is_pulled_again(pushed_from: Path, folder_archive: Archive, target: Path) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    pull_release(target, 1, folder_archive, ())
    release_layout.model_file(target, "ranker", 1).write_bytes(b"")
    (release_layout.release_folder(target, 1) / "more").touch()
    assert pull_release(target, 1, folder_archive, ())
    assert contents(target, 1) == contents(pushed_from, 1)


def test_a_configuration_that_is_there_stays(pushed_from: Path, folder_archive: Archive, target: Path) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    tuned = target / "ranker" / release_layout.CONFIGURATION
    tuned.parent.mkdir(parents=True)
    tuned.write_text("# ours", encoding="utf-8")
    pull_release(target, 1, folder_archive, ())
    assert tuned.read_text(encoding="utf-8") == "# ours"


def test_a_release_is_never_replaced_by_another(
    pushed_from: Path, archive: Archive, target: Path, tmp_path: Path, keys: Path
) -> None:
    push_release(pushed_from, 1, archive, None)
    other = tmp_path / "other"
    tiny_release.build(other, 1, traits=True)
    for key in (None, read_sign_key(keys / "new.pem")):
        with pytest.raises(ReleaseError, match="holds another release 1"):
            push_release(other, 1, archive, key)
    with pytest.raises(ReleaseError, match="holds a release 1 since a moment ago"):
        archive.create_bundle(1, b"")
    pull_release(target, 1, archive, ())
    assert contents(target, 1) == contents(pushed_from, 1)
    with pytest.raises(ReleaseError, match="other holds another release 1 than the archive"):
        pull_release(other, 1, archive, ())


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
    assert contents(target, 1) == contents(pushed_from, 1)


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


def test_what_was_removed_here_is_pulled_as_the_archive_has_it_now(
    pushed_from: Path, folder_archive: Archive, target: Path, tmp_path: Path
) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    pull_release(target, 1, folder_archive, ())
    shutil.rmtree(tmp_path / "archive")
    shutil.rmtree(release_layout.release_folder(target, 1))
    other = tmp_path / "other"
    tiny_release.build(other, 1, traits=True)
    push_release(other, 1, folder_archive, None)
    assert pull_release(target, 1, folder_archive, ())
    assert contents(target, 1) == contents(other, 1)


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


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no address of an archive"),
        ("releases", "no address of an archive"),
        ("s3://", "no address of an archive"),
        ("http://host/releases", "no address of an archive"),
        ("file://releases", "three slashes"),
    ],
)
def test_what_is_no_archive_is_refused(url: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=said):
        open_archive(url)


def test_an_archive_that_can_not_be_reached_says_so(pushed_from: Path, tmp_path: Path, target: Path) -> None:
    (tmp_path / "file").touch()
    below_a_file = open_archive(f"file://{tmp_path}/file/archive")
    for ask in (below_a_file.list_releases, lambda: push_release(pushed_from, 1, below_a_file, None)):
        with pytest.raises(ReleaseError, match="file/archive can't be"):
            ask()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-told")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(ReleaseError, match=r"s3://bucket can't be read: .*connect") as failed:
            pull_release(target, 1, open_archive("s3://bucket"), ())
    assert "not-to-be-told" not in str(failed.value)


def test_a_bucket_that_is_missing_is_named(pushed_from: Path, bucket: str) -> None:
    with pytest.raises(ReleaseError, match=r"s3://no-such-bucket can't be written: .*bucket"):
        push_release(pushed_from, 1, open_archive("s3://no-such-bucket"), None)


def test_a_repository_that_can_not_be_written_is_told(
    pushed_from: Path, folder_archive: Archive, tmp_path: Path
) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError, match=r"release 1 can't be pulled: .*Not a directory"):
        pull_release(tmp_path / "file" / "repository", 1, folder_archive, ())


def test_what_another_release_of_the_number_has_left_is_cleared(
    pushed_from: Path, folder_archive: Archive, target: Path
) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    left = target / "releases" / ".pull-1" / "releases" / "1"
    left.mkdir(parents=True)
    (left / "of another one").touch()
    with pytest.raises(ReleaseError, match="'releases/1/of another one' is there"):
        pull_release(target, 1, folder_archive, ())
    assert pull_release(target, 1, folder_archive, ())
