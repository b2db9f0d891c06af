"""Traces of calls by OpenTelemetry: the times for which a call waits for the state file, for models and for Triton.

Nothing is traced before `start_tracing`. Spans name methods, models and numbers; never a shopper, an item or words.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from os import getpid
from typing import Any

from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from portrait.features.installation import DISTRIBUTION, explain_install

SERVICE_NAME = "portrait-gateway"
PARENT_HEADER, STATE_HEADER = "traceparent", "tracestate"
"""Metadata of a call with the span that it is part of, by W3C Trace Context."""
_EXPORT_SECONDS = 5
"""Timeout of one export; spans that a collector does not take are dropped."""

_tracer = trace.get_tracer("portrait.server")
_propagator = TraceContextTextMapPropagator()


class TracingError(Exception):
    """Traces can't be exported: the packages for it are missing."""


def start_tracing(endpoint: str) -> Callable[[], None]:
    """Export the spans of this process from now on; a collector that is down or slow delays no call.

    Args:
        endpoint: http or https URL of a collector, for OTLP over gRPC; https means TLS.

    Returns:
        a function that exports what is left, and ends the export; it blocks for some seconds at most.

    Raises:
        TracingError: the packages of the extra `tracing` are missing.
    """
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
    except ModuleNotFoundError as error:
        raise TracingError(f"otlp_endpoint needs {error.name}: {explain_install('tracing')}") from error
    resource = Resource.create(
        {"service.name": SERVICE_NAME, "service.version": version(DISTRIBUTION), "process.pid": getpid()}
    )
    # Whether a call without a parent is traced is decided before there is a span, which would cost something.
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), resource=resource)
    insecure = endpoint.startswith("http://")
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=insecure, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextmanager
def trace_call(name: str, carrier: Mapping[str, str], attributes: Mapping[str, Any]) -> Iterator[Span]:
    """Trace a call that a server answers, as the caller's span says, or as a new trace.

    Args:
        name: the method.
        carrier: the headers of the call that tell its parent.
        attributes: of the span.
    """
    parent = _propagator.extract(carrier)
    with _tracer.start_as_current_span(
        name, parent, SpanKind.SERVER, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def mark_failed(span: Span) -> None:
    """Mark a span as that of a failure; its text could quote what a shopper typed, and is left out."""
    span.set_status(Status(StatusCode.ERROR))


@contextmanager
def trace_request(name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Trace a request of this process to another system, if the call that it is for is traced."""
    if not trace.get_current_span().is_recording():
        yield
        return
    with _tracer.start_as_current_span(
        name, None, SpanKind.CLIENT, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException:
            mark_failed(span)
            raise


def trace_wait(name: str, answer: "asyncio.Future[Any]", attributes: Mapping[str, Any]) -> Span | None:
    """Trace the wait of the current call for an answer; returns its span, None if the call is not traced."""
    if not trace.get_current_span().is_recording():
        return None
    span = _tracer.start_span(name, attributes=attributes)
    answer.add_done_callback(lambda _: span.end())
    return span


def context_for(spans: Iterable[Span | None]) -> contextvars.Context | None:
    """Make the context of work that is done for several calls: a part of the first call that is traced.

    Returns:
        None if none is traced, nor the call that happens to start the work.
    """
    parent = next((span for span in spans if span is not None), None)
    if parent is None and not trace.get_current_span().is_recording():
        return None
    context = contextvars.copy_context()
    context.run(current.attach, trace.set_span_in_context(INVALID_SPAN if parent is None else parent))
    return context


def outgoing_headers() -> dict[str, str]:
    """Make the headers that tell another system the current span; empty if the call is not traced."""
    headers: dict[str, str] = {}
    if trace.get_current_span().is_recording():
        _propagator.inject(headers)
    return headers


def current_trace_id() -> str | None:
    """Return the id of the current trace, in hexadecimal; None if the call is not traced."""
    span = trace.get_current_span()
    return trace.format_trace_id(span.get_span_context().trace_id) if span.is_recording() else None
