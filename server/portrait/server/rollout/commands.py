"""The commands `portrait release …`: which release serves whom, and which ones an archive holds."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

import typer

from portrait.features.release.manifest import ReleaseError
from portrait.server.audit.log import REASON_WORDS, AuditError, is_reason
from portrait.server.errors import PortraitError
from portrait.server.rollout.audited_choice import AuditNote, choose_audited
from portrait.server.rollout.control import Control, open_control
from portrait.server.rollout.extras import open_release_archive
from portrait.server.rollout.gateway_status import Gateway, GatewayError
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.storage.store import StoreError

_POLL_SECONDS = 0.2
_SETTLED_SECONDS = 1.0
"""A refusal that a gateway shows this soon after a change may be of the time before it."""
_ERRORS = (AuditError, OSError, GatewayError, PortraitError, ReleaseError, StoreError, TrafficError)

release = typer.Typer(
    no_args_is_help=True,
    help="Choose which release serves whom: list, promote, roll back, try on some shoppers. Gateways follow within a "
    "second or, where a release has to be loaded first, as soon as it is; no request fails. With --state-url and "
    "--releases-url, all gateways of that Redis follow.",
)

Repository = Annotated[
    Path, typer.Option(envvar="PORTRAIT_REPOSITORY", help="Folder of models and releases that the gateways read.")
]
ReleasesUrl = Annotated[
    str | None,
    typer.Option(
        envvar="PORTRAIT_RELEASES_URL", help="Archive that holds releases: s3://BUCKET/PREFIX or file:///FOLDER."
    ),
]
Archive = Annotated[
    str,
    typer.Option(
        "--releases-url", envvar="PORTRAIT_RELEASES_URL", help="Archive: s3://BUCKET/PREFIX or file:///FOLDER."
    ),
]
VerifyKey = Annotated[
    Path | None,
    typer.Option(
        envvar="PORTRAIT_VERIFY_KEY",
        help="PEM file of Ed25519 public keys, of which one must have signed a release of the archive.",
    ),
]
StateUrl = Annotated[
    str | None,
    typer.Option(
        envvar="PORTRAIT_STATE_URL", help="Redis of the gateways; with --releases-url, all its gateways follow at once."
    ),
]
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", help="A gateway's metrics, http://HOST:PORT/metrics; give it once for each gateway."),
]
Wait = Annotated[float, typer.Option(min=0, help="How long to wait for the gateways, in seconds.")]
AuditFile = Annotated[
    Path | None,
    typer.Option(
        "--audit-log",
        envvar="PORTRAIT_AUDIT_LOG",
        help="File that gets a line before and after the change, as of `portrait serve --audit-log`.",
    ),
]


def _check_reason(reason: str) -> str:
    if reason and not is_reason(reason):
        raise typer.BadParameter(f"the limit is {REASON_WORDS}")
    return reason


Reason = Annotated[str, typer.Option(callback=_check_reason, help=f"Why, for the audit log: {REASON_WORDS}.")]
Number = Annotated[int, typer.Argument(min=1, metavar="RELEASE", help="Number of the release.")]

_REPOSITORY = Path("model_repository")


@release.command("list")
def list_(
    repository: Repository = _REPOSITORY,
    releases_url: ReleasesUrl = None,
    verify_key: VerifyKey = None,
    state_url: StateUrl = None,
    gateway: Gateways = None,
) -> None:
    """Show the releases, which of them serves whom, and whether their files are whole."""
    try:
        control = _open(repository, releases_url, verify_key, state_url)
        traffic = control.read(None)
        numbers = _list_numbers(control, traffic)
        typer.echo(f"{'release':<9}{'created':<27}{'traffic':<16}files")
        for number in numbers:
            created, state = control.describe(number)
            typer.echo(f"{number:<9}{created:<27}{_part(traffic, number):<16}{state}")
        gateways = control.list_gateways()
    except _ERRORS as error:
        raise _wrong(error) from error
    for name, shown in gateways.items():
        typer.echo(f"{name}: {_describe(shown)}")
    for url in gateway or ():
        typer.echo(f"{url}: {_shown(url)}")


@release.command()
def promote(
    number: Number,
    repository: Repository = _REPOSITORY,
    releases_url: ReleasesUrl = None,
    verify_key: VerifyKey = None,
    state_url: StateUrl = None,
    gateway: Gateways = None,
    wait_seconds: Wait = 120.0,
    audit_log: AuditFile = None,
    reason: Reason = "",
) -> None:
    """Have a release serve all shoppers. A canary ends; the release that served before is kept for a rollback."""

    def change(traffic: Traffic | None, control: Control) -> Traffic:
        control.require(number)
        return Traffic(number) if traffic is None else traffic.promoted(number)

    control = _open(repository, releases_url, verify_key, state_url)
    _change(control, change, gateway or [], wait_seconds, _note(audit_log, "release promote", reason), beside=number)


@release.command()
def rollback(
    repository: Repository = _REPOSITORY,
    releases_url: ReleasesUrl = None,
    verify_key: VerifyKey = None,
    state_url: StateUrl = None,
    gateway: Gateways = None,
    wait_seconds: Wait = 120.0,
    audit_log: AuditFile = None,
    reason: Reason = "",
) -> None:
    """Have the release serve all shoppers that did so before the last promotion. A canary ends."""

    def change(traffic: Traffic | None, control: Control) -> Traffic:
        wanted = _require_serving(traffic).rolled_back()
        control.require_previous(wanted.serving)
        return wanted

    control = _open(repository, releases_url, verify_key, state_url)
    _change(control, change, gateway or [], wait_seconds, _note(audit_log, "release rollback", reason))


@release.command()
def canary(
    number: Number,
    percent: Annotated[float, typer.Option(min=0, max=100, help="Percentage of shoppers; 0 ends the canary.")],
    repository: Repository = _REPOSITORY,
    releases_url: ReleasesUrl = None,
    verify_key: VerifyKey = None,
    state_url: StateUrl = None,
    gateway: Gateways = None,
    wait_seconds: Wait = 120.0,
    audit_log: AuditFile = None,
    reason: Reason = "",
) -> None:
    """Try a release on some of the shoppers, chosen by their id; histories without an id stay where they are."""

    def change(traffic: Traffic | None, control: Control) -> Traffic:
        serving = _require_serving(traffic)
        if percent:
            control.require(number)
        elif serving.canary != number:
            raise TrafficError(f"release {number} is no canary: nothing to end")
        return serving.with_canary(number, percent)

    control = _open(repository, releases_url, verify_key, state_url)
    _change(control, change, gateway or [], wait_seconds, _note(audit_log, "release canary", reason), beside=number)


@release.command()
def push(
    number: Number,
    releases_url: Archive,
    repository: Repository = _REPOSITORY,
    sign_key: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the Ed25519 private key that signs the release; `openssl genpkey -algorithm ed25519`."
        ),
    ] = None,
) -> None:
    """Copy a release of the repository into an archive. An interrupted push goes on when it is repeated.

    It exists in the archive once it is there as a whole, and is never replaced by another. A release that is there
    already can be signed anew.
    """
    try:
        pushed = open_release_archive(releases_url, None).push(repository, number, sign_key)
    except ReleaseError as error:
        raise _wrong(error) from error
    typer.echo(
        f"{releases_url} holds release {number}: {pushed.files} files, {pushed.size:,} bytes, "
        f"{pushed.uploaded} of them copied now"
    )
    if sign_key is None:
        typer.echo("it was not signed now: --sign-key signs it", err=True)


@release.command()
def pull(
    number: Number, releases_url: Archive, repository: Repository = _REPOSITORY, verify_key: VerifyKey = None
) -> None:
    """Copy a release of an archive into the repository: verified first, and as a whole or not at all."""
    try:
        is_new = open_release_archive(releases_url, verify_key).pull(repository, number)
    except ReleaseError as error:
        raise _wrong(error) from error
    typer.echo(f"{repository} {'holds' if is_new else 'held'} release {number}")


def _note(audit_log: Path | None, command: str, reason: str) -> AuditNote | None:
    return None if audit_log is None else AuditNote(audit_log, command, reason)


def _open(repository: Path, releases_url: str | None, verify_key: Path | None, state_url: str | None) -> Control:
    try:
        archive = open_release_archive(releases_url, verify_key) if releases_url else None
        return open_control(repository, state_url, archive)
    except ReleaseError as error:
        raise _wrong(error) from error


def _list_numbers(control: Control, traffic: Traffic | None) -> list[int]:
    """The releases that there are, and those that the traffic names: these also while an archive can't be reached."""
    try:
        found = control.list_releases()
    except ReleaseError as error:
        if traffic is None:
            raise
        typer.echo(f"error: {error}", err=True)
        found = []
    if not found and traffic is None:
        raise ReleaseError("there is no release: run `portrait export`, or `portrait release push` for an archive")
    return sorted({*found, *(traffic.kept if traffic else ())})


def _require_serving(traffic: Traffic | None) -> Traffic:
    if traffic is None:
        raise TrafficError("no release serves yet: promote one first")
    return traffic


def _change(
    control: Control,
    change: Callable[[Traffic | None, Control], Traffic],
    gateways: list[str],
    wait_seconds: float,
    note: AuditNote | None,
    beside: int | None = None,
) -> None:
    """Choose other traffic and say so; wait for the gateways that are given or report by themselves."""
    try:
        for url in gateways:
            Gateway.ask(url)
        before = control.read(beside)
        wanted = change(before, control)
        choose_audited(control, before, wanted, note)
    except _ERRORS as error:
        raise _wrong(error) from error
    typer.echo(f"wanted: {_words(wanted.serving, wanted.canary, wanted.percent)}; before: {wanted.previous or 'none'}")
    until = time.monotonic() + wait_seconds
    try:
        problems, reports = control.wait(wait_seconds), control.list_gateways()
    except _ERRORS as error:
        raise _wrong(error, code=1) from error
    for name, report in reports.items():
        typer.echo(f"{name}: {_describe(report)}")
    for url in gateways:
        _wait(url, wanted, until)
        typer.echo(f"{url}: {_shown(url)}")
    for name, problem in problems.items():
        typer.echo(f"{name} {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _part(traffic: Traffic | None, number: int) -> str:
    if traffic is None:
        return ""
    parts = {traffic.previous: "before", traffic.canary: f"canary {traffic.percent:g}%", traffic.serving: "serving"}
    return parts.get(number, "")


def _words(serving: int, canary: int | None, percent: float) -> str:
    return f"{serving} serves" + (f", {canary} as canary for {percent:g}% of shoppers" if canary else "")


def _shown(url: str) -> str:
    """Return the state of a gateway in a line."""
    try:
        return _describe(Gateway.ask(url))
    except GatewayError as error:
        return f"unknown: {error}"


def _describe(gateway: Gateway) -> str:
    words = [_words(gateway.serving, gateway.canary, gateway.percent), f"loaded: {_listed(gateway.loaded)}"]
    words += [f"refused: {number} ({reason})" for number, reason in sorted(gateway.refused.items())]
    return "; ".join(words)


def _listed(numbers: Collection[int]) -> str:
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
            refused = gateway.refused.keys() & set(wanted.routed)
            if refused and time.monotonic() - began > _SETTLED_SECONDS:
                typer.echo(f"{url} refused release {_listed(refused)}; its log says why. {_shown(url)}", err=True)
                raise typer.Exit(1)
            said = _shown(url)
        if time.monotonic() > end:
            typer.echo(f"{url} has not switched in time. {said}", err=True)
            raise typer.Exit(1)
        time.sleep(_POLL_SECONDS)


def _wrong(error: Exception, code: int = 2) -> typer.Exit:
    """Ends the command with the reason, in one line; the code is 1 if the change was made before."""
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    return typer.Exit(code)
