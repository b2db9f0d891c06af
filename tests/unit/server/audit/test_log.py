"""The audit log: what was written can be read, and what was changed is found."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.audit.log import FIRST, AuditError, AuditLog, Head, read_lines, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of three lines."""
    log = AuditLog(tmp_path / "audit.jsonl")
    assert [log.append(method=f"method {place}") for place in range(3)] == [1, 2, 3]
    return tmp_path / "audit.jsonl"


def test_lines_are_numbered_and_only_for_their_owner(path: Path) -> None:
    assert [(each["number"], each["method"]) for each in read_lines(path)] == [
        (1, "method 0"),
        (2, "method 1"),
        (3, "method 2"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify(path).lines == 3


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").touch()
    assert verify(tmp_path / "audit.jsonl") == Head(0, FIRST)
    with pytest.raises(AuditError, match="No such file"):
        verify(tmp_path / "none")


@given(place=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, place: int, change: int) -> None:
    """But in the last line, which no later one proves: there only the noted hash does."""
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    log = AuditLog(path)
    for number in range(3):
        log.append(method=f"method {number}")
    head = verify(path).sha256
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    with pytest.raises(AuditError):
        verify(path, head)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_line_that_was_taken_out_is_found(path: Path, gone: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[gone]
    path.write_bytes(b"".join(lines))
    with pytest.raises(AuditError, match=f"line {gone + 1} is not as it was written"):
        verify(path)


def test_lines_that_were_cut_off_are_found_by_a_noted_hash(path: Path) -> None:
    head = verify(path).sha256
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert verify(path).lines == 2
    with pytest.raises(AuditError, match="no line with the hash"):
        verify(path, head)
    with pytest.raises(AuditError, match="line 3"):
        # As if the last lines were written anew: the chain is whole, but the noted line is not in it.
        verify(_with_line(path, b"{}\n"), head)


def _with_line(path: Path, line: bytes) -> Path:
    path.write_bytes(path.read_bytes() + line)
    return path


def test_a_noted_hash_is_found_in_a_log_that_grew(path: Path) -> None:
    head = verify(path).sha256
    AuditLog(path).append(method="later")
    assert verify(path, head).lines == 4


def test_a_line_whose_writer_died_is_taken_out_by_the_next(path: Path) -> None:
    _with_line(path, b'{"number": 4, "meth')
    with pytest.raises(AuditError, match="line 4"):
        verify(path)
    assert AuditLog(path).append(method="next") == 4
    assert [each["method"] for each in read_lines(path)][-1] == "next"


def test_what_is_no_audit_log_is_not_written_to(tmp_path: Path) -> None:
    other = tmp_path / "events.csv"
    other.write_text("shopper_id,item_id\na,b\n", encoding="utf-8")
    with pytest.raises(AuditError, match="no line of an audit log"):
        AuditLog(other).append(method="x")
    assert other.read_text(encoding="utf-8") == "shopper_id,item_id\na,b\n"
    with pytest.raises(AuditError, match="can't be written"):
        AuditLog(tmp_path / "missing" / "audit.jsonl").append(method="x")


def _append_many(path: Path) -> None:
    log = AuditLog(path)
    for place in range(50):
        log.append(method=str(place))


def test_processes_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    processes = [multiprocessing.get_context("spawn").Process(target=_append_many, args=(path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert verify(path).lines == 150
