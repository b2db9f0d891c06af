"""The releases of a running gateway, read from its metrics: an operator sees a swap arrive there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from portrait.server.runtime.direct_http import open_url

SERVING = "portrait_release"
CANARY = "portrait_release_canary"
PERCENT = "portrait_release_canary_percent"
LOADED = "portrait_release_loaded"
REFUSED = "portrait_release_refused"
DELAYED = "portrait_release_delayed"

REPORT_SECONDS = 1.0
"""Seconds between two reports of a gateway to its fleet."""
_SECONDS = 5.0


class GatewayError(Exception):
    """A gateway does not show its metrics."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The releases of one gateway."""

    serving: int
    canary: int | None
    percent: float
    loaded: frozenset[int]
    refused: Mapping[int, str]
    """Wanted releases that it could not load, and why."""

    @classmethod
    def ask(cls, url: str) -> "Gateway":
        """Read a gateway's metrics.

        Args:
            url: for example `http://127.0.0.1:9464/metrics`.

        Raises:
            GatewayError: nobody answers there, or no gateway.
        """
        if not url.startswith(("http://", "https://")):
            raise GatewayError(f"{url} is no address of metrics: http://HOST:PORT/metrics")
        try:
            with open_url(url, _SECONDS) as answer:
                text = answer.read().decode()
            samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        except (HTTPException, OSError, ValueError) as error:
            raise GatewayError(f"{url} does not answer: {error}") from error
        if any("tenant" in sample.labels for sample in samples):
            raise GatewayError(f"{url} shows several tenants: append / and the name of one")
        try:
            return cls._of(samples)
        except (KeyError, ValueError, OverflowError) as error:
            raise GatewayError(f"{url} is no gateway of Portrait, or one of an earlier version") from error

    @classmethod
    def _of(cls, samples: Sequence[Sample]) -> "Gateway":
        """Read samples; raises KeyError, ValueError or OverflowError if one is missing or no number of a release."""
        single = {sample.name: sample.value for sample in samples if not sample.labels}
        labelled = {
            name: frozenset(int(sample.labels["release"]) for sample in samples if sample.name == name)
            for name in (LOADED, REFUSED)
        }
        return cls(
            int(single[SERVING]),
            int(single[CANARY]) or None,
            single[PERCENT],
            labelled[LOADED],
            dict.fromkeys(labelled[REFUSED], "its log says why"),
        )
