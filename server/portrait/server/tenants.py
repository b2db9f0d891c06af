"""The file of tenants: each is a shop with a settings file of its own, and shares nothing with the others."""

import re
import tomllib
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from portrait.server.runtime.setting_errors import SettingSources
from portrait.server.runtime.toml_file import TomlFileError, read_toml_file
from portrait.server.settings import Settings

GATEWAY_SETTINGS = frozenset(
    {
        "access", "connection_age_seconds", "default_deadline_seconds", "drain_seconds", "host", "log_level",
        "max_deadline_seconds", "max_message_bytes", "metrics_host", "metrics_port", "otlp_endpoint", "port",
        "processes", "settings_file", "tenants", "tls_certificate", "tls_client_ca", "tls_key", "trace_ratio",
    }
)  # fmt: skip
"""Settings of the process and its port. All others are those of a shop: with tenants, of each tenant's file."""
_LOCAL = re.compile(r"(?:file:|unix:)?(?://)?([^:]+)")
"""A path of this machine: of an archive, a socket or a file of Milvus Lite."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class TenantsError(Exception):
    """The tenants can't be served; the message says why."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    tenants: dict[str, Path] = Field(min_length=1)


def read_shops(settings: Settings) -> dict[str | None, Settings]:
    """Read the settings of each shop, by tenant; without tenants that is one, under None.

    Args:
        settings: the settings of the gateway.

    Raises:
        TenantsError: the file of the tenants or of one of them can't be used, or two tenants share something.
    """
    if settings.tenants is None:
        return {None: settings}
    for name in sorted(settings.model_fields_set - GATEWAY_SETTINGS):
        raise TenantsError(f"tenants: {name} is a setting of each tenant: set it in the files of the tenants")
    try:
        files = read_toml_file(settings.tenants, _File).tenants
    except TomlFileError as error:
        raise TenantsError(f"tenants: {error}") from None
    folder = settings.tenants.parent
    shops: dict[str | None, Settings] = {name: _read_shop(name, folder / files[name], settings) for name in files}
    _require_apart(shops)
    return shops


def _read_shop(name: str, path: Path, settings: Settings) -> Settings:
    """Read a tenant's settings. Neither options nor variables count, as they would for every tenant."""
    if not _NAME.fullmatch(name):
        raise TenantsError(f"tenants: {name!r}: a name has 1 to 63 lower-case letters, digits and hyphens")
    place = f"tenants: {name}: {path}"
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TenantsError(f"{place}: {error.strerror}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise TenantsError(f"{place}: {error}") from None
    for setting in sorted(lines.keys() & GATEWAY_SETTINGS):
        raise TenantsError(f"{place}: {setting} is a setting of the gateway, not of a tenant")
    own: dict[str, Any] = {each: field.default for each, field in Settings.model_fields.items()}
    own |= {each: getattr(settings, each) for each in GATEWAY_SETTINGS - {"settings_file", "tenants"}}
    try:
        return Settings(**own | lines)
    except ValidationError as error:
        told = SettingSources(Settings.model_fields, {"settings_file": path}, {}).describe(error)
        raise TenantsError(f"tenants: {name}: {told}") from None


def _require_apart(shops: Mapping[str | None, Settings]) -> None:
    """Require that no two tenants have a file, a folder or a server in common."""
    owners: dict[str, str | None] = {}
    for name, settings in shops.items():
        for setting, place in _list_places(settings):
            owner = owners.setdefault(place, name)
            if owner != name:
                raise TenantsError(
                    f"tenants: {owner} and {name} share {place} ({setting} of {name}): each needs its own"
                )


def require_own_states(identities: Mapping[str | None, Hashable]) -> None:
    """Require that no two tenants have the same state, by two names or as a copy.

    Args:
        identities: of the state of each tenant.

    Raises:
        TenantsError: two have.
    """
    owners: dict[Hashable, str | None] = {}
    for name, identity in identities.items():
        owner = owners.setdefault(identity, name)
        if owner != name:
            raise TenantsError(f"tenants: {owner} and {name} have the same state, or a copy of it: each needs its own")


def _list_places(settings: Settings) -> Iterator[tuple[str, str]]:
    """List the setting and the place of everything that a shop writes, or that decides what it serves."""
    files = {"repository": settings.repository, "audiences": settings.audiences, "audit_log": settings.audit_log}
    if settings.state_url is None:
        files["state"] = settings.state
    if not settings.triton_urls:
        files["triton_log"] = settings.triton_log
    yield from ((setting, str(path.resolve())) for setting, path in files.items() if path is not None)
    urls = {"state_url": settings.state_url, "releases_url": settings.releases_url, "index_url": settings.index_url}
    yield from ((setting, _resolve(url)) for setting, url in urls.items() if url is not None)
    yield from (("triton_url", _resolve(url)) for url in settings.triton_urls)


def _resolve(url: str) -> str:
    """Return what two names of one place have in common: of a file, folder or socket its path, of a server its URL."""
    local = _LOCAL.fullmatch(url)
    return str(Path(local[1]).resolve()) if local else url.rstrip("/")
