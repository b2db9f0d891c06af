"""The stream behind the log: lines whole and in order where there is room, dropped and counted where there is none."""

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from portrait.server.runtime.log_writer import DROPPED_LINES, LogWriter


class Pipe:
    """Both ends of a pipe."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_until_end(self) -> bytes:
        os.close(self.writer)
        self.writer = -1
        with os.fdopen(self.reader, "rb", closefd=False) as stream:
            return stream.read()

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def dropped(reason: str) -> float:
    return next(each.value for each in DROPPED_LINES.collect()[0].samples if each.labels == {"reason": reason})


def test_lines_of_several_threads_arrive_whole_and_in_order(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writer)
    threads = [
        threading.Thread(target=lambda name=name: [writer.write(f"{name} {n} é 台灯\n") for n in range(100)])
        for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    lines = pipe.read_until_end().decode().splitlines()
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [f"{name} {n} é 台灯" for n in range(100)]


def test_a_line_longer_than_a_pipe_takes_at_once_arrives(pipe: Pipe) -> None:
    writer, read = LogWriter(pipe.writer), []
    reader = threading.Thread(target=lambda: read.append(os.fdopen(pipe.reader, "rb", closefd=False).read()))
    reader.start()
    writer.write("x" * 300_000 + "\n")
    writer.close()
    os.close(pipe.writer)
    pipe.writer = -1
    reader.join()
    assert read == [b"x" * 300_000 + b"\n"]


def test_a_reader_that_stalls_blocks_nobody(pipe: Pipe) -> None:
    before = dropped("queue_full")
    writer = LogWriter(pipe.writer, max_queued_bytes=10_000)
    for _ in range(1_000):  # more than pipe and queue hold
        writer.write("x" * 999 + "\n")
    writer.close(0.1)
    assert dropped("queue_full") > before
    os.set_blocking(pipe.reader, False)
    assert os.read(pipe.reader, 1_000) == b"x" * 999 + b"\n"


def test_a_reader_that_is_gone_is_counted(pipe: Pipe) -> None:
    before = dropped("write_failed")
    os.close(pipe.reader)
    pipe.reader = -1
    writer = LogWriter(pipe.writer)
    for _ in range(50):
        writer.write("a line\n")
    writer.close()
    assert dropped("write_failed") == before + 50


def test_a_pipe_that_does_not_block_loses_nothing(pipe: Pipe) -> None:
    """A program that shares the terminal or pipe may have changed it."""
    before = dropped("write_failed")
    os.set_blocking(pipe.writer, False)
    writer = LogWriter(pipe.writer)
    for number in range(2_000):
        writer.write(f"{number:0100}\n")
    closing = threading.Thread(target=writer.close, args=(60.0,))
    closing.start()
    read = b""
    while read.count(b"\n") < 2_000:
        read += os.read(pipe.reader, 65_536)
    closing.join()
    assert [int(line) for line in read.splitlines()] == list(range(2_000))
    assert dropped("write_failed") == before


def test_after_half_a_line_the_next_one_begins_anew(tmp_path: Path) -> None:
    """A disk that is full takes a part of a line."""
    before = dropped("write_failed")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("ab") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (25, hard))
        try:
            full = LogWriter(file.fileno())
            full.write("0123456789\n")
            full.write("0123456789\n")
            full.write("0123456789\n")
            while dropped("write_failed") == before:
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        full.write("there is room again\n")
        full.close()
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert lines == ["0123456789", "0123456789", "012", "there is room again"]
    assert dropped("write_failed") == before + 1


def test_what_is_no_text_is_written_all_the_same(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writer)
    writer.write("a lone surrogate: \udcff\n")
    writer.close()
    assert pipe.read_until_end() == b"a lone surrogate: \\udcff\n"
