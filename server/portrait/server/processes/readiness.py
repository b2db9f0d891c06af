"""Readiness of several gateway processes on one port: that of each of them, as the kernel sends calls to all."""

from collections.abc import Callable, Mapping
from http.client import HTTPException

from portrait.server.metrics.endpoint import ask_ready

_TIMEOUT_SECONDS = 2.0


def find_unready(urls: Callable[[], Mapping[int, str]]) -> str | None:
    """Tell why calls are not answered; None if all processes that serve are ready.

    Args:
        urls: returns the URL of the metrics of each process that serves, by process id.
    """
    there = urls()
    if not there:
        return "no gateway process serves"
    return next((reason for url in there.values() if (reason := _ask(url)) is not None), None)


def _ask(metrics_url: str) -> str | None:
    try:
        return ask_ready(metrics_url, _TIMEOUT_SECONDS)
    except (OSError, HTTPException):
        return None  # it has just died, and gets no calls until it is there again
