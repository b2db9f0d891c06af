"""The dispatch of calls to tenants: who calls decides which shop answers, and nothing else does."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import structlog

from portrait.server.access.caller import Caller
from portrait.server.access.scopes import find_scope
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import PermissionDenied, PortraitError
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.chain import wrap

_caller: ContextVar[Caller] = ContextVar("caller")


def dispatched_caller(context: Context) -> Caller:
    """Return the caller of the current call, as the dispatch has identified it: rules may have changed since."""
    return _caller.get()


def dispatch_to_tenants(
    identify: Callable[[Context], Caller],
    shops: Mapping[str, Callable[[Method], Handler]],
    outside: Sequence[Interceptor],
) -> Interceptor:
    """Hand each call to the shop of its caller's tenant. Health and reflection, which show no shop, go on.

    It takes the place of a shop's interceptors, and stands inside of `assign_request_id`.

    Args:
        identify: names the caller of a call, or raises `Unauthenticated`.
        shops: makes, for each tenant, the handler of a method with all interceptors of the shop.
        outside: interceptors of calls of no shop: of callers without a tenant, of health and of reflection.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        if find_scope(method.name) is None:
            return wrap(method, call_next, outside)
        handlers = {tenant: make_handler(method) for tenant, make_handler in shops.items()}
        refuse = wrap(method, _raise, outside)

        async def handle(request: object, context: Context) -> Response:
            try:
                caller = identify(context)
                handler = _find_handler(handlers, caller)
            except PortraitError as error:
                return await refuse(error, context)
            _caller.set(caller)
            structlog.contextvars.bind_contextvars(tenant=caller.tenant)
            return await handler(request, context)

        return handle

    return intercept


def _find_handler(handlers: Mapping[str, Handler], caller: Caller) -> Handler:
    handler = handlers.get(caller.tenant) if caller.tenant is not None else None
    if handler is None:
        structlog.contextvars.bind_contextvars(caller=caller.name)
        raise PermissionDenied("the caller has no shop here", ErrorReason.TENANT_REFUSED)
    return handler


async def _raise(error: Any, context: Context) -> Response:
    raise error
