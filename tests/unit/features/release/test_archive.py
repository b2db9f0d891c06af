"""Releases that are pushed to a folder and to a real S3 server, and pulled: whole, or not at all."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import tiny_release
from support.release_contents import hash_release

from portrait.features.release import layout as release_layout
from portrait.features.release.archive import pull as pulling
from portrait.features.release.archive.archive import Archive, open_archive
from portrait.features.release.archive.pull import pull_release
from portrait.features.release.archive.push import push_release
from portrait.features.release.archive.signatures import read_sign_key
from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError


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
    assert hash_release(target, 2) == hash_release(pushed_from, 2)
    assert list_releases(target) == [2]
    assert not pull_release(target, 2, archive, ())
    push_release(pushed_from, 1, archive, None)
    assert pull_release(target, 1, archive, ())
    assert hash_release(target, 1) == hash_release(pushed_from, 1)
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
        interrupt(patch, "download", len(hash_release(pushed_from, 1)) + 2 - 10)
        assert pull_release(target, 1, archive, ())
    assert hash_release(target, 1) == hash_release(pushed_from, 1)
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
    assert hash_release(target, 1) == hash_release(pushed_from, 1)


def test_many_pull_the_same_at_once(pushed_from: Path, folder_archive: Archive, target: Path) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    with ThreadPoolExecutor(4) as threads:
        pulls = [threads.submit(pull_release, target, 1, folder_archive, ()) for _ in range(4)]
    assert sorted(pull.result() for pull in pulls) == [False, False, False, True]
    assert hash_release(target, 1) == hash_release(pushed_from, 1)


def test_a_damaged_release_is_pulled_again(pushed_from: Path, folder_archive: Archive, target: Path) -> None:
    push_release(pushed_from, 1, folder_archive, None)
    pull_release(target, 1, folder_archive, ())
    release_layout.model_file(target, "ranker", 1).write_bytes(b"")
    (release_layout.release_folder(target, 1) / "more").touch()
    assert pull_release(target, 1, folder_archive, ())
    assert hash_release(target, 1) == hash_release(pushed_from, 1)


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
    assert hash_release(target, 1) == hash_release(pushed_from, 1)
    with pytest.raises(ReleaseError, match="other holds another release 1 than the archive"):
        pull_release(other, 1, archive, ())


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
    assert hash_release(target, 1) == hash_release(other, 1)


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
