"""Checks of running gateways, by their endpoints of metrics and probes."""

from collections.abc import Iterator, Sequence
from http.client import HTTPException

from portrait.server.doctor.findings import Finding, Level
from portrait.server.metrics.endpoint import ask_ready
from portrait.server.rollout.gateway_status import Gateway, GatewayError

_SECONDS = 5.0


def check_fleet(urls: Sequence[str]) -> Iterator[Finding]:
    """Check gateways, and that they serve the same releases.

    Args:
        urls: of their metrics, for example http://127.0.0.1:9464/metrics.
    """
    serving: dict[str, tuple[int, int | None]] = {}
    for url in urls:
        try:
            gateway = Gateway.ask(url)
        except GatewayError as error:
            yield Finding(Level.FAULT, f"gateway {url}", str(error))
            continue
        serving[url] = gateway.serving, gateway.canary
        yield _check_gateway(url, gateway)
    if len(set(serving.values())) > 1:
        told = ", ".join(f"{url} serves {release}" for url, (release, _) in serving.items())
        yield Finding(Level.WARNING, "fleet", f"gateways serve different releases: {told}")


def _check_gateway(url: str, gateway: Gateway) -> Finding:
    if (reason := _find_unready(url)) is not None:
        return Finding(Level.FAULT, f"gateway {url}", f"not ready: {reason}")
    if gateway.refused:
        refused = ", ".join(map(str, sorted(gateway.refused)))
        return Finding(
            Level.FAULT, f"gateway {url}", f"can't load release {refused}: its log says why (release_refused)"
        )
    return Finding(Level.OK, f"gateway {url}", f"ready, serves release {gateway.serving}")


def _find_unready(url: str) -> str | None:
    try:
        return ask_ready(url, _SECONDS)
    except (OSError, HTTPException) as error:
        return f"no answer: {error}"
