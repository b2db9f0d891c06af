"""Access control: who calls, whether the caller has the scope of the method, and for which purposes it reads."""

from collections.abc import Callable

import structlog

from portrait.server.access.caller import Caller
from portrait.server.access.rules import AccessRules
from portrait.server.access.scopes import READING_SCOPES, find_scope
from portrait.server.consent.consents import Purpose, state_purposes
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.identity import read_certificate_names

PURPOSE = "x-purpose"
"""Metadata with which a caller says for what purpose it reads; several purposes are several entries."""
_AUTHORIZATION = "authorization"
_PURPOSES: dict[str | bytes, Purpose] = {purpose.value: purpose for purpose in Purpose}
_NO_PURPOSES: frozenset[Purpose] = frozenset()


def control_access(identify: Callable[[Context], Caller] | None, tenant: str | None = None) -> Interceptor:
    """Require that the caller proves who it is and may call the method, and bind a read to the caller's purposes.

    It stands inside of `map_errors`, and outside of all that reads or answers requests. The log lines of the call then
    have the name of the caller, and the purposes. Health and reflection are open.

    Args:
        identify: names the caller of a call, or raises `Unauthenticated`. None if everybody may call everything: a
            caller may then state any purpose.
        tenant: the tenant whose callers may call; None in a gateway without tenants.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        scope = find_scope(method.name)
        if scope is None:
            return call_next
        reads = scope in READING_SCOPES

        async def handle(request: object, context: Context) -> Response:
            caller = identify(context) if identify else None
            if caller is not None:
                structlog.contextvars.bind_contextvars(caller=caller.name)
                if tenant is not None:
                    caller.require_tenant(tenant)
                caller.require(scope)
            purposes = _read_purposes(context)
            if caller is not None:
                purposes = caller.choose_purposes(purposes)
            if purposes and reads:
                structlog.contextvars.bind_contextvars(purposes=sorted(purposes))
                state_purposes(purposes)
            return await call_next(request, context)

        return handle

    return intercept


def identify_caller(rules: AccessRules, context: Context) -> Caller:
    """Identify the caller of a call by access rules.

    Raises:
        Unauthenticated: it does not prove who it is.
    """
    return rules.identify(read_certificate_names(context), _read_authorization(context))


def _read_authorization(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == _AUTHORIZATION:
            return value if isinstance(value, str) else ""
    return None


def _read_purposes(context: Context) -> frozenset[Purpose]:
    stated = [value for key, value in context.invocation_metadata() or () if key == PURPOSE]
    if not stated:
        return _NO_PURPOSES
    if not _PURPOSES.keys() >= set(stated):
        limit = f"metadata; the limit is {', '.join(Purpose)}"
        raise InvalidRequest([Violation(PURPOSE, limit)], ErrorReason.METADATA_INVALID)
    return frozenset(_PURPOSES[each] for each in stated)
