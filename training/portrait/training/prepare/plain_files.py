"""Makes plain files of what shops export: `.gz` and `.zst` are unpacked, UTF-16 becomes UTF-8 without a mark."""

import codecs
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import duckdb
import zstandard

from portrait.training.errors import DataError
from portrait.training.prepare import parts
from portrait.training.prepare.engine import fetch_one

_CHUNK = 1 << 16
"""Bytes, or characters, that are read at once."""
_ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""By their byte order marks. Those of UTF-32 come first: one begins with a mark of UTF-16."""


@contextmanager
def open_plain(connection: duckdb.DuckDBPyConnection, file: Path) -> Iterator[Path]:
    """Give a file that is not packed, and UTF-8 if it is text: the file itself, or a copy while the block runs.

    Args:
        connection: the engine; copies lie where it spills.
        file: its ending says its format and how it is packed.

    Raises:
        DataError: it can't be unpacked; errors of the block about the copy name the file instead.
    """
    if file.suffix.lower() not in parts.COMPRESSIONS and _detect_encoding(file) is None:
        yield file
        return
    (scratch,) = fetch_one(connection, "SELECT current_setting('temp_directory')")
    with tempfile.TemporaryDirectory(dir=str(scratch)) as folder:
        copy = _decode(file, _unpack(file, Path(folder)), Path(folder))
        try:
            yield copy
        except DataError as error:
            if error.file != str(copy):
                raise
            raise DataError(str(file), error.row, error.column, error.message) from error.__cause__


def _unpack(file: Path, folder: Path) -> Path:
    unpack = {".gz": _unpack_gzip, ".zst": _unpack_zstandard}.get(file.suffix.lower())
    if unpack is None:
        return file
    copy = folder / f"unpacked{parts.file_format(file)}"
    try:
        with file.open("rb") as packed, copy.open("wb") as written:
            unpack(packed, written)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise DataError(str(file), None, None, f"can't be unpacked: {error}") from error
    return copy


def _unpack_gzip(packed: BinaryIO, written: BinaryIO) -> None:
    with gzip.open(packed) as content:
        shutil.copyfileobj(content, written)


def _unpack_zstandard(packed: BinaryIO, written: BinaryIO) -> None:
    """Unpack all frames; the library's own reader takes a file that is cut short for a whole one."""
    frame = None
    while piece := packed.read(_CHUNK):
        while piece:
            if frame is None or frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            written.write(frame.decompress(piece))
            piece = frame.unused_data
    if frame is None or not frame.eof:
        raise EOFError("it ends too early")


def _decode(file: Path, readable: Path, folder: Path) -> Path:
    encoding = _detect_encoding(readable)
    if encoding is None:
        return readable
    copy = folder / f"decoded{parts.file_format(readable)}"
    try:
        with (
            readable.open(encoding=encoding, newline="") as text,
            copy.open("w", encoding="utf-8", newline="") as written,
        ):
            shutil.copyfileobj(text, written, _CHUNK)
    except UnicodeError as error:
        raise DataError(str(file), None, None, f"begins as {encoding.upper()} and is not: {error}") from error
    return copy


def _detect_encoding(readable: Path) -> str | None:
    """The encoding of a text by its mark; None if it is to be read as it is."""
    ending = parts.file_format(readable)
    if ending == ".parquet":
        return None
    with readable.open("rb") as opened:
        begin = opened.read(4)
    if begin.startswith(codecs.BOM_UTF8) and ending == ".jsonl":
        return "utf-8-sig"  # the engine skips the mark in CSV alone
    return next((name for mark, name in _ENCODINGS.items() if begin.startswith(mark)), None)
