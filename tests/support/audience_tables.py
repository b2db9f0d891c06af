"""Audience tables of a running gateway, made as an operator makes them."""

import json

from support.command_line import run_portrait
from support.gateway import RunningGateway


def build_audience_table(served: RunningGateway, *arguments: str) -> dict[str, object]:
    """Run `portrait build-audience-table` for the shop of a gateway, and return the last line of its log.

    It runs in this process and asks the gateway's own Triton. A process and a Triton of its own, as
    `support.gateway.build_audience_table` starts them, take several times as long.
    """
    shop = [word for option in ("--repository", "--state", "--audiences") for word in (option, served.argument(option))]
    done = run_portrait("build-audience-table", *shop, "--triton-url", served.triton_url(), *arguments)
    assert done.code == 0, done.stderr
    assert "shopper-" not in done.stderr
    line: dict[str, object] = json.loads(done.stderr.splitlines()[-1])
    return line
