"""Logs: one JSON object per line.

Log events hold names, numbers and request ids, and never the id of a shopper or a text that a shopper typed.
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
    """A stream to which logs are written."""

    def write(self, text: str, /) -> int:
        """Write a line with its newline."""

    def flush(self) -> None:
        """Write what is buffered."""


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Log to stderr from a separate thread until the end of the block, so that a log that nobody reads blocks no call.

    Everything else that Python writes to `sys.stderr`, such as the traceback of a thread, takes the same way.

    Args:
        level: see `configure`.
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
    """Send the gateway's logs, and the warnings of libraries, to a stream.

    Args:
        level: minimum level of the gateway's own lines. Libraries always log from `warning` on, since some log values
            at `debug`.
        stream: receives the lines.
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
        # One write per line: processes that share a stream do not write into each other's lines.
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type] # it uses only these methods of a stream
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
    """Filter out the errors that grpc.aio logs, with a traceback, when a caller disconnects before the response.

    A disconnect is no fault of the gateway, and the access log has the call.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"
