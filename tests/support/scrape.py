"""The metrics of a gateway, as Prometheus scrapes them."""

import urllib.request

from support.gateway import RunningGateway

_SECONDS = 60.0


def scrape(gateway: RunningGateway, path: str = "/metrics") -> str:
    """Read a path of the endpoint of metrics; an HTTP error raises."""
    url = gateway.line("ready")["metrics"].removesuffix("/metrics") + path
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
        return str(answer.read().decode())


def read_metrics(gateway: RunningGateway, path: str = "/metrics") -> dict[str, float]:
    """Read the values of all metrics, by name and labels."""
    pairs = (line.rsplit(" ", 1) for line in scrape(gateway, path).splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
