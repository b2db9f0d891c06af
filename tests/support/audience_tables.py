"""Audience tables of a running gateway, made as an operator makes them."""

import json
from pathlib import Path

from support.command_line import run_portrait
from support.gateway import RunningGateway

_TRITON_PORT = 8001
"""Triton appends its port to the path of its socket."""


def build_audience_table(served: RunningGateway, *arguments: str) -> dict[str, object]:
    """Run `portrait build-audience-table` for the shop of a gateway, and return the last line of its log.

    It runs in this process and asks the gateway's own Triton. A process and a Triton of its own, as
    `support.gateway.build_audience_table` starts them, take several times as long.
    """
    shop = [word for option in ("--repository", "--state", "--audiences") for word in (option, served.argument(option))]
    done = run_portrait("build-audience-table", *shop, "--triton-url", _find_triton_url(served), *arguments)
    assert done.code == 0, done.stderr
    assert "shopper-" not in done.stderr
    line: dict[str, object] = json.loads(done.stderr.splitlines()[-1])
    return line


def _find_triton_url(served: RunningGateway) -> str:
    words = Path(f"/proc/{served.triton_pid()}/cmdline").read_text(encoding="utf-8").split("\0")
    [address] = [word.partition("=")[2] for word in words if word.startswith("--grpc-address=")]
    return f"{address}:{_TRITON_PORT}"
