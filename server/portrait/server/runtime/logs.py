"""Logs: one JSON object a line.

Nothing that a shopper typed, nor any shopper's id, is logged: events carry names, numbers and request ids.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from portrait.server.runtime.log_writer import LogWriter

_TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


class Stream(Protocol):
    """A stream that takes lines."""

    def write(self, text: str, /) -> int:
        """Take a line with its end."""

    def flush(self) -> None:
        """Pass on what was taken."""


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Log to stderr from a thread of its own until the end of the block: a log that nobody reads stops no caller.

    All else that Python writes to `sys.stderr` meanwhile, as the traceback of a thread, goes the same way.

    Args:
        level: as of `configure`.
    """
    stderr = sys.stderr
    writer = LogWriter(stderr.fileno())
    configure(level, writer)
    sys.stderr = writer
    try:
        yield
    finally:
        sys.stderr = stderr
        writer.close()


def configure(level: str, stream: Stream) -> None:
    """Send the gateway's logs, and warnings of the libraries, to a stream.

    Args:
        level: least severe level of the gateway's own lines. Libraries are held to warnings whatever it
            is: at `debug` some log values.
        stream: where the lines go.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _TIMESTAMP,
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write a line: processes that share a stream do not write into each other's lines.
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type] # it needs no more of a stream
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    handler.addFilter(_is_not_disconnect)
    logging.getLogger("portrait").setLevel(level.upper())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _is_not_disconnect(record: logging.LogRecord) -> bool:
    """Tell whether a line of a library is about anything but a caller who has gone before the response.

    grpc.aio logs that as an error, with a traceback; it is the caller's business, and the access log has the call.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"
