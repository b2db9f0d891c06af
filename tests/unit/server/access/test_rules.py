"""The access file: what it allows, what it refuses, and what is wrong with it."""

from functools import partial
from pathlib import Path

import pytest
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from portrait.server.access.rules import AccessError, AccessRules
from portrait.server.access.scopes import Scope, find_scope
from portrait.server.consent.consents import Purpose
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import PermissionDenied, Unauthenticated
from portrait.server.runtime.live_file import LiveFile

CERTIFICATES = '[certificates]\nstorefront = ["read:profile", "write:event"]\n'
TOKENS = f'[tokens]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nkeys = "jwks.json"\n'
KEY = SigningKey("first")


def write(folder: Path, content: str) -> Path:
    write_keys(folder / "jwks.json", KEY)
    (folder / "access.toml").write_text(content, encoding="utf-8")
    return folder / "access.toml"


def test_a_certificate_has_the_scopes_of_the_first_name_that_is_listed(tmp_path: Path) -> None:
    rules = AccessRules(write(tmp_path, CERTIFICATES), asks_for_certificates=True)
    caller = rules.identify(["server-7", "storefront"], None)
    assert caller.name == "storefront"
    caller.require(Scope.READ_PROFILE)
    with pytest.raises(PermissionDenied, match="lacks the scope erase:shopper"):
        caller.require(Scope.ERASE_SHOPPER)


def test_a_certificate_that_is_not_listed_has_no_scope(tmp_path: Path) -> None:
    caller = AccessRules(write(tmp_path, CERTIFICATES), asks_for_certificates=True).identify(["stranger"], None)
    for scope in Scope:
        with pytest.raises(PermissionDenied):
            caller.require(scope)


def test_a_token_counts_before_a_certificate(tmp_path: Path) -> None:
    rules = AccessRules(write(tmp_path, CERTIFICATES + TOKENS), asks_for_certificates=True)
    caller = rules.identify(["storefront"], f"bearer {KEY.sign('erase:shopper', sub='help desk')}")
    assert (caller.name, caller.scopes) == ("help desk", {Scope.ERASE_SHOPPER})
    with pytest.raises(Unauthenticated):
        rules.identify(["storefront"], "Bearer x.y.z")


def test_a_caller_states_the_purposes_that_it_has_and_no_other(tmp_path: Path) -> None:
    path = write(tmp_path, '[certificates]\nmail = ["purpose:advertising", "purpose:risk"]\n' + TOKENS)
    rules = AccessRules(path, asks_for_certificates=True)
    mail = rules.identify(["mail"], None)
    assert mail.choose_purposes({Purpose.RISK}) == {Purpose.RISK}
    assert mail.choose_purposes(set()) == {Purpose.RISK, Purpose.ADVERTISING}
    with pytest.raises(PermissionDenied, match="lacks the scope purpose:demographics") as raised:
        mail.choose_purposes({Purpose.RISK, Purpose.DEMOGRAPHICS})
    assert raised.value.reason is ErrorReason.PURPOSE_REFUSED
    token = rules.identify([], f"Bearer {KEY.sign('read:profile purpose:personalisation')}")
    assert token.choose_purposes(set()) == {Purpose.PERSONALISATION}
    free = rules.identify([], f"Bearer {KEY.sign('read:profile')}")
    assert free.choose_purposes(set()) == set()
    with pytest.raises(PermissionDenied):
        free.choose_purposes({Purpose.PERSONALISATION})


def test_a_caller_has_the_tenant_of_the_file_or_of_its_token(tmp_path: Path) -> None:
    tenants = '[tenants]\nstorefront = "shoes"\n'
    rules = AccessRules(write(tmp_path, CERTIFICATES + tenants + TOKENS), True, ["shoes", "books"])
    rules.identify(["storefront"], None).require_tenant("shoes")
    rules.identify(["storefront"], f"Bearer {KEY.sign(tenant='books')}").require_tenant("books")
    tokens = [KEY.sign(), KEY.sign(tenant="books"), KEY.sign(tenant=["shoes"])]
    callers = [rules.identify(["stranger"], None), *(rules.identify([], f"Bearer {token}") for token in tokens)]
    for caller in callers:
        with pytest.raises(PermissionDenied) as raised:
            caller.require_tenant("shoes")
        assert raised.value.reason is ErrorReason.TENANT_REFUSED


@pytest.mark.parametrize(
    ("content", "tenants", "why"),
    [
        (CERTIFICATES, ["shoes"], "certificates.storefront: [tenants] does not say whose it is"),
        (CERTIFICATES + '[tenants]\nstorefront = "hats"\n', ["shoes"], "no tenant has the name hats (shoes)"),
        (CERTIFICATES + '[tenants]\nstorefront = "shoes"\n', [], "no tenant has the name shoes (the gateway has none)"),
        (CERTIFICATES + '[tenants]\nstore = "shoes"\n', ["shoes"], "tenants.store: [certificates] does not list this"),
    ],
)
def test_a_file_that_does_not_fit_the_tenants_says_where(
    tmp_path: Path, content: str, tenants: list[str], why: str
) -> None:
    with pytest.raises(AccessError) as raised:
        AccessRules(write(tmp_path, content), True, tenants)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("content", "authorization", "reason", "why"),
    [
        (TOKENS, None, ErrorReason.CREDENTIALS_MISSING, "needs a token in the metadata `authorization`"),
        (CERTIFICATES, None, ErrorReason.CREDENTIALS_MISSING, "needs a client certificate"),
        (CERTIFICATES, "Bearer x", ErrorReason.TOKEN_INVALID, "takes no tokens"),
        (TOKENS, "Basic x", ErrorReason.TOKEN_INVALID, "takes `Bearer` and a token"),
        (TOKENS, "", ErrorReason.TOKEN_INVALID, "takes `Bearer` and a token"),
    ],
)
def test_a_call_without_proof_is_told_what_is_wanted(
    tmp_path: Path, content: str, authorization: str | None, reason: ErrorReason, why: str
) -> None:
    rules = AccessRules(write(tmp_path, content), asks_for_certificates=True)
    with pytest.raises(Unauthenticated) as raised:
        rules.identify([], authorization)
    assert raised.value.reason is reason
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "names no caller"),
        ("certificates = 3", "certificates: Input should be a valid dictionary"),
        ('[certificates]\nx = ["read:everything"]', "certificates.x.0: Input should be 'read:profile'"),
        (TOKENS + "leeway = 3", "tokens.leeway: Extra inputs are not permitted"),
        ('[tokens]\nissuer = ""\naudience = "x"\nkeys = "jwks.json"', "tokens.issuer: String should have at least 1"),
        (TOKENS.replace("jwks", "none"), "tokens.keys: "),
        ("[tokens", "Expected"),
        (CERTIFICATES, "[certificates] needs tls_client_ca"),
    ],
)
def test_an_unusable_file_says_where(tmp_path: Path, content: str, why: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(AccessError) as raised:
        AccessRules(path, asks_for_certificates=False)
    assert str(raised.value).startswith("access: ")
    assert why in str(raised.value)


async def test_a_change_holds_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, TOKENS)
    live = LiveFile(
        "access", path, partial(AccessRules, asks_for_certificates=False), AccessError, lambda rules: rules.files
    )
    first = live.now
    await live.refresh()
    assert live.now is first
    path.write_text("[tokens", encoding="utf-8")
    await live.refresh()
    assert live.now is first
    other = SigningKey("second")
    write_keys(tmp_path / "jwks.json", KEY, other)
    await live.refresh()  # the access file is still broken
    assert live.now is first
    path.write_text(TOKENS, encoding="utf-8")
    await live.refresh()
    assert live.now.identify([], f"Bearer {other.sign()}").name == "storefront"
    write_keys(tmp_path / "jwks.json", other)
    await live.refresh()
    with pytest.raises(Unauthenticated):
        live.now.identify([], f"Bearer {KEY.sign()}")


def test_health_and_reflection_are_open() -> None:
    assert find_scope("grpc.health.v1.Health/Check") is None
    assert find_scope("grpc.reflection.v1.ServerReflection/ServerReflectionInfo") is None
