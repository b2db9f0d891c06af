"""The access file: which callers may do what. What it does not allow is refused."""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from portrait.server.access.caller import Caller
from portrait.server.access.scopes import Scope
from portrait.server.access.tokens import KeyFileError, TokenVerifier
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unauthenticated
from portrait.server.runtime.live_file import LiveFile
from portrait.server.runtime.toml_file import TomlFileError, read_toml_file

_BEARER = "bearer "


class AccessError(Exception):
    """The access file, or the file of keys that it names, can't be used; the message says why."""


class _Tokens(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    keys: Path


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    certificates: dict[str, frozenset[Scope]] = {}
    tenants: dict[str, str] = {}
    tokens: _Tokens | None = None


class AccessRules:
    """The content of an access file.

    Args:
        path: the file, in TOML. `[certificates]` has the scopes of each name of a client certificate, and `[tenants]`
            its tenant; `[tokens]` has the issuer of tokens, their audience and the file of the issuer's keys, relative
            to this file.
        asks_for_certificates: whether the port asks callers for one.
        tenants: those of the gateway; none if it serves one shop to all callers.

    Raises:
        AccessError: a file can't be used.
    """

    def __init__(self, path: Path, asks_for_certificates: bool, tenants: Collection[str] = ()) -> None:
        content = _read(path)
        _check_tenants(content, path, tenants)
        if content.certificates and not asks_for_certificates:
            raise AccessError(f"access: {path}: [certificates] needs tls_client_ca, without which no caller shows one")
        self._certificates = {
            name: Caller(name, scopes, content.tenants.get(name)) for name, scopes in content.certificates.items()
        }
        self._verifier: TokenVerifier | None = None
        self.files = [path]
        """The files that were read."""
        if content.tokens:
            keys = path.parent / content.tokens.keys
            self.files.append(keys)
            try:
                self._verifier = TokenVerifier(content.tokens.issuer, content.tokens.audience, keys)
            except KeyFileError as error:
                raise AccessError(f"access: tokens.keys: {error}") from None

    def identify(self, certificate_names: Sequence[str], authorization: str | None) -> Caller:
        """Identify a caller: by its token if it sends one, or else by its certificate.

        Args:
            certificate_names: names in the certificate that the caller has shown: common name and alternative names.
            authorization: the metadata `authorization`, `Bearer` and a token; None if there is none.

        Raises:
            Unauthenticated: the caller shows neither, or a token that is not valid.
        """
        if authorization is not None:
            return self._identify_by_token(authorization)
        for name in certificate_names:
            if name in self._certificates:
                return self._certificates[name]
        if certificate_names:
            return Caller(certificate_names[0], frozenset())
        ways = ["a client certificate"] if self._certificates else []
        ways += ["a token in the metadata `authorization`"] if self._verifier else []
        raise Unauthenticated(f"the call needs {' or '.join(ways)}", ErrorReason.CREDENTIALS_MISSING)

    def _identify_by_token(self, authorization: str) -> Caller:
        if self._verifier is None:
            raise Unauthenticated("this gateway takes no tokens", ErrorReason.TOKEN_INVALID)
        if not authorization.lower().startswith(_BEARER):
            raise Unauthenticated("authorization takes `Bearer` and a token", ErrorReason.TOKEN_INVALID)
        caller = self._verifier.verify(authorization[len(_BEARER) :].strip())
        return Caller(caller.name, caller.scopes, caller.tenant)


def _read(path: Path) -> _File:
    try:
        content = read_toml_file(path, _File)
    except TomlFileError as error:
        raise AccessError(f"access: {error}") from None
    if not content.certificates and content.tokens is None:
        raise AccessError(f"access: {path} names no caller: it needs [certificates] or [tokens]")
    return content


def _check_tenants(content: _File, path: Path, tenants: Collection[str]) -> None:
    """Check that each certificate has a tenant of the gateway, or none if the gateway has none."""
    for name, tenant in content.tenants.items():
        if name not in content.certificates:
            raise AccessError(f"access: {path}: tenants.{name}: [certificates] does not list this name")
        if tenant not in tenants:
            known = ", ".join(sorted(tenants)) or "the gateway has none"
            raise AccessError(f"access: {path}: tenants.{name}: no tenant has the name {tenant} ({known})")
    for name in content.certificates if tenants else ():
        if name not in content.tenants:
            raise AccessError(f"access: {path}: certificates.{name}: [tenants] does not say whose it is")


def load_access(
    path: Path | None, asks_for_certificates: bool, tenants: Collection[str] = ()
) -> LiveFile[AccessRules] | None:
    """Load an access file, to follow it; None if there is none, so that everybody may call everything.

    Args:
        path: the file.
        asks_for_certificates: whether the port asks callers for one.
        tenants: those of the gateway.

    Raises:
        AccessError: it can't be used.
    """
    if path is None:
        return None
    read = partial(AccessRules, asks_for_certificates=asks_for_certificates, tenants=tenants)
    return LiveFile("access", path, read, AccessError, lambda rules: rules.files)
