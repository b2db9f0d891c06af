"""Logs: one JSON object a line.

Nothing that a shopper typed, nor any shopper's id, is logged: events carry names, numbers and request ids.
"""

import logging
from typing import TextIO

import structlog

_TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def configure(level: str, stream: TextIO) -> None:
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
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    handler.addFilter(_is_no_parting)
    logging.getLogger("portrait").setLevel(level.upper())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _is_no_parting(record: logging.LogRecord) -> bool:
    """Whether a library's line is about something else than a caller who did not take the answer.

    grpc.aio logs that as an error, with a traceback; it is the caller's business, and the access log has the call.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"
