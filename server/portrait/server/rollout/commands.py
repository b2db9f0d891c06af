"""The commands `portrait release …`: which release serves whom. They change one file, which every gateway watches."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from portrait.features.release.layout import list_releases
from portrait.features.release.manifest import ReleaseError, read_verified_manifest
from portrait.server.rollout.gateway_status import Gateway, GatewayError
from portrait.server.rollout.traffic import Traffic, TrafficError

_POLL_SECONDS = 0.2
_SETTLED_SECONDS = 1.0
"""A refusal that a gateway shows this soon after a change may be of the time before it."""

release = typer.Typer(
    no_args_is_help=True,
    help="Choose which release serves whom: list, promote, roll back, try on some shoppers. Gateways follow within a "
    "second or, where a release has to be loaded first, as soon as it is; no request fails.",
)

Repository = Annotated[
    Path, typer.Option(envvar="PORTRAIT_REPOSITORY", help="Folder of models and releases that the gateways read.")
]
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", help="A gateway's metrics, http://HOST:PORT/metrics; give it once for each gateway."),
]
Wait = Annotated[float, typer.Option(min=0, help="How long to wait for the gateways that are given, in seconds.")]
Number = Annotated[int, typer.Argument(min=1, metavar="RELEASE", help="Number of the release.")]

_REPOSITORY = Path("model_repository")


@release.command("list")
def list_(repository: Repository = _REPOSITORY, gateway: Gateways = None) -> None:
    """Show the releases, which of them serves whom, and whether their files are whole."""
    try:
        traffic = Traffic.of(repository)
    except (OSError, ReleaseError, TrafficError) as error:
        raise _wrong(error) from error
    typer.echo(f"{'release':<9}{'created':<27}{'traffic':<16}files")
    for number in list_releases(repository):
        created, state = _state(repository, number)
        typer.echo(f"{number:<9}{created:<27}{_part(traffic, number):<16}{state}")
    for url in gateway or ():
        typer.echo(f"{url}: {_shown(url)}")


@release.command()
def promote(
    number: Number, repository: Repository = _REPOSITORY, gateway: Gateways = None, wait_seconds: Wait = 120.0
) -> None:
    """Have a release serve all shoppers. A canary ends; the release that served before is kept for a rollback."""

    def change(traffic: Traffic) -> Traffic:
        _check(repository, number)
        return traffic.promoted(number)

    _change(repository, change, gateway or [], wait_seconds, beside=number)


@release.command()
def rollback(repository: Repository = _REPOSITORY, gateway: Gateways = None, wait_seconds: Wait = 120.0) -> None:
    """Have the release serve all shoppers that did so before the last promotion. A canary ends."""

    def change(traffic: Traffic) -> Traffic:
        wanted = traffic.rolled_back()
        _check(repository, wanted.serving)
        return wanted

    _change(repository, change, gateway or [], wait_seconds)


@release.command()
def canary(
    number: Number,
    percent: Annotated[float, typer.Option(min=0, max=100, help="Percentage of shoppers; 0 ends the canary.")],
    repository: Repository = _REPOSITORY,
    gateway: Gateways = None,
    wait_seconds: Wait = 120.0,
) -> None:
    """Try a release on some of the shoppers, chosen by their id; histories without an id stay where they are."""

    def change(traffic: Traffic) -> Traffic:
        if percent:
            _check(repository, number)
        elif traffic.canary != number:
            raise TrafficError(f"release {number} is no canary: nothing to end")
        return traffic.with_canary(number, percent)

    _change(repository, change, gateway or [], wait_seconds, beside=number)


def _change(
    repository: Path,
    change: Callable[[Traffic], Traffic],
    gateways: list[str],
    wait_seconds: float,
    beside: int | None = None,
) -> None:
    """Write the file anew and say so; wait for gateways that are given."""
    try:
        for url in gateways:
            Gateway.ask(url)
        wanted = change(_now(repository, beside))
        wanted.write(repository)
    except (OSError, GatewayError, ReleaseError, TrafficError) as error:
        raise _wrong(error) from error
    typer.echo(f"wanted: {_words(wanted.serving, wanted.canary, wanted.percent)}; before: {wanted.previous or 'none'}")
    for url in gateways:
        _wait(url, wanted, time.monotonic() + wait_seconds)
        typer.echo(f"{url}: {_shown(url)}")


def _now(repository: Path, beside: int | None) -> Traffic:
    """Read the traffic file.

    Where nobody has promoted anything, the gateways serve the release that was the newest when they started: taken
    to be the newest one beside that which is talked of.
    """
    traffic = Traffic.read(repository)
    if traffic is not None:
        return traffic
    found = [number for number in list_releases(repository) if number != beside]
    if beside is None or not found:
        return Traffic.of(repository)
    return Traffic(found[-1])


def _check(repository: Path, number: int) -> None:
    """Raises ReleaseError if there is no such release, or its files are not what they were."""
    if number not in (found := list_releases(repository)):
        there = ", ".join(map(str, found)) or "none"
        raise ReleaseError(f"{repository} holds no release {number}; those there are: {there}")
    read_verified_manifest(repository, number)


def _state(repository: Path, number: int) -> tuple[str, str]:
    """Return the creation time of a release and the state of its files."""
    try:
        manifest = read_verified_manifest(repository, number)
    except ReleaseError as error:
        return "", str(error)
    return manifest.created_at[:25], "whole"


def _part(traffic: Traffic, number: int) -> str:
    parts = {traffic.previous: "before", traffic.canary: f"canary {traffic.percent:g}%", traffic.serving: "serving"}
    return parts.get(number, "")


def _words(serving: int, canary: int | None, percent: float) -> str:
    return f"{serving} serves" + (f", {canary} as canary for {percent:g}% of shoppers" if canary else "")


def _shown(url: str) -> str:
    """Return the state of a gateway in a line."""
    try:
        gateway = Gateway.ask(url)
    except GatewayError as error:
        return f"unknown: {error}"
    words = [_words(gateway.serving, gateway.canary, gateway.percent), f"loaded: {_listed(gateway.loaded)}"]
    if gateway.refused:
        words.append(f"refused: {_listed(gateway.refused)} (its log says why)")
    return "; ".join(words)


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _wait(url: str, wanted: Traffic, end: float) -> None:
    """Wait until a gateway does what is wanted; ends the command with 1 if it refuses, or does not in time."""
    began = time.monotonic()
    while True:
        try:
            gateway = Gateway.ask(url)
        except GatewayError as error:
            said = str(error)
        else:
            if (gateway.serving, gateway.canary, gateway.percent) == (wanted.serving, wanted.canary, wanted.percent):
                return
            refused = gateway.refused & set(wanted.routed)
            if refused and time.monotonic() - began > _SETTLED_SECONDS:
                typer.echo(f"{url} refused release {_listed(refused)}; its log says why. {_shown(url)}", err=True)
                raise typer.Exit(1)
            said = _shown(url)
        if time.monotonic() > end:
            typer.echo(f"{url} has not switched in time. {said}", err=True)
            raise typer.Exit(1)
        time.sleep(_POLL_SECONDS)


def _wrong(error: Exception) -> typer.Exit:
    """Ends the command with 2 and the reason, in one line."""
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    return typer.Exit(2)
