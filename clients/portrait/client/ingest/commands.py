"""The command `portrait ingest`."""

import asyncio
import contextlib
import dataclasses
import json
import signal
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from portrait.client.connection import calling

if TYPE_CHECKING:
    from portrait.client.ingest.runner import IngestCounts, Ingestion
    from portrait.client.ingest.streams import Stream
    from portrait.client.sync import Client

_CALL_SECONDS = 60.0
_TELL_SECONDS = 10.0
_END_SECONDS = 2.0


@calling(_CALL_SECONDS)
def ingest(
    client: "Client",
    stream: Annotated[
        str,
        typer.Argument(
            help="redis-stream://HOST:PORT/STREAM, nats://HOST:PORT/STREAM or kafka://HOST:PORT/TOPIC; ?group=NAME for "
            "another group of consumers than portrait.",
            show_default=False,
        ),
    ],
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End once the stream is empty, in place of waiting for more.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Serve Prometheus metrics on this port of 127.0.0.1.")
    ] = None,
) -> None:
    """Record the events of a stream, until SIGTERM or SIGINT.

    Each message is JSON of one event, as a line of a log. It is acknowledged once its event is stored, and each event
    is stored once. Messages that are no valid event go to the dead letters. Prints counts as JSON lines to stderr.
    """
    from portrait.client.ingest.streams import StreamError

    try:
        counts = asyncio.run(_ingest(client, stream, until_caught_up, metrics_port))
    except StreamError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        _fail(f"{error.name} is missing: install Portrait with the extra `ingest`")
    typer.echo(json.dumps(dataclasses.asdict(counts)))


def _fail(problem: str) -> NoReturn:
    typer.echo(f"error: {' '.join(problem.split())}", err=True)
    raise typer.Exit(2) from None


async def _ingest(client: "Client", url: str, until_caught_up: bool, metrics_port: int | None) -> "IngestCounts":
    from portrait.client.ingest.runner import Ingestion
    from portrait.client.ingest.streams import open_stream

    stream = await open_stream(url)
    try:
        ingestion = Ingestion(stream, client, lambda note: typer.echo(f"warning: {note}", err=True))
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, ingestion.stop)
        telling = asyncio.create_task(_tell(stream, ingestion, metrics_port))
        try:
            return await ingestion.run(until_caught_up=until_caught_up)
        finally:
            telling.cancel()
            # Not awaited for ever: `asyncio.wait_for` of Python 3.11, which NATS uses, loses a cancellation at times.
            await asyncio.wait({telling}, timeout=_END_SECONDS)
    finally:
        await stream.close()


async def _tell(stream: "Stream", ingestion: "Ingestion", metrics_port: int | None) -> None:
    """Show the counts and the lag, in the metrics and as lines, until it is cancelled."""
    from portrait.client.ingest.streams import StreamError

    collector = None
    if metrics_port is not None:
        from portrait.client.ingest.metrics import serve_metrics

        collector = serve_metrics(ingestion, metrics_port)
    last, lag = time.monotonic(), 0
    while True:
        with contextlib.suppress(StreamError):  # the ingestion waits for the broker
            lag = await stream.lag()
        if collector is not None:
            collector.lag = lag
        if time.monotonic() - last >= _TELL_SECONDS:
            last = time.monotonic()
            typer.echo(json.dumps({**dataclasses.asdict(ingestion.counts), "lag": lag}), err=True)
        await asyncio.sleep(1.0)
