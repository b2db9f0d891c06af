"""Access control: a call of a caller who lacks the scope of its method is refused."""

from collections.abc import Callable

import structlog

from portrait.server.access.rules import AccessRules
from portrait.server.access.scopes import find_scope
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.identity import read_certificate_names

_AUTHORIZATION = "authorization"


def require_scope(get_rules: Callable[[], AccessRules]) -> Interceptor:
    """Require that the caller proves who it is and has the scope of the method; health and reflection are open.

    It stands inside of `map_errors`, and outside of all that reads or answers requests. The log lines of the call then
    have the name of the caller.

    Args:
        get_rules: returns the rules in force.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        scope = find_scope(method.name)
        if scope is None:
            return call_next

        async def handle(request: object, context: Context) -> Response:
            caller = get_rules().identify(read_certificate_names(context), _read_authorization(context))
            structlog.contextvars.bind_contextvars(caller=caller.name)
            caller.require(scope)
            return await call_next(request, context)

        return handle

    return intercept


def _read_authorization(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == _AUTHORIZATION:
            return value if isinstance(value, str) else ""
    return None
