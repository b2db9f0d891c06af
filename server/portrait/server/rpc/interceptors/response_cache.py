"""The response cache: an equal request gets the same response, as long as nothing has changed that it depends on."""

import math
import random
import time
from collections.abc import Callable, Hashable
from typing import Any

import structlog
from google.protobuf.message import DecodeError, Message

from portrait.server.consent.consents import stated_purposes
from portrait.server.response_cache import ResponseCache
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Request, Response
from portrait.server.storage.store import Store

CACHEABLE_METHODS = {
    "portrait.v1.ProfileService/GetProfile",
    "portrait.v1.RecommendationService/Recommend",
    "portrait.v1.RecommendationService/Rank",
    "portrait.v1.RecommendationService/GetShelf",
}
"""Methods that change nothing, and whose requests have `shopper` and `as_of`."""
_MAX_REQUEST_BYTES = 1 << 16
"""A longer request rarely comes again, and is expensive to parse before it is admitted."""


def cache_responses(
    cache: ResponseCache,
    ttl_seconds: float,
    store: Store,
    state: Callable[[], Hashable],
    *,
    events_expire: bool = False,
) -> Interceptor:
    """Respond from the cache, and fill it. It stands outside of `admit_calls`, so that a cache hit is never refused.

    Degraded responses are not cached.

    Args:
        cache: the cached responses.
        ttl_seconds: the longest time to live of a response to a request without `as_of`, which means now. A response
            to a request with `as_of` does not expire, unless events do.
        store: gives each named shopper a version, which changes with what is known of the shopper.
        state: the state of releases and catalogues; every change makes another one.
        events_expire: whether an event may leave the history of a past moment, too.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        if method.name not in CACHEABLE_METHODS:
            return call_next

        async def handle(request: Request, context: Context) -> Response:
            if len(request.wire) > _MAX_REQUEST_BYTES:
                return await call_next(request, context)
            try:
                message = request.message
            except DecodeError:
                return await call_next(request, context)  # `parse_request` reports the error
            now, key = time.monotonic(), cache.key(_name_read(method), request.wire)
            # The state before the response is made: a change in the meantime must invalidate the response.
            dependencies = (state(), await store.versions(_named_shoppers(message)))
            cached = cache.get(key, dependencies, now)
            if cached is not None:
                structlog.contextvars.bind_contextvars(cache_hit=True)
                return cached
            response = await call_next(request, context)
            if response is None or isinstance(response, bytes) or _is_degraded(response):
                return response
            wire = response.SerializeToString()
            # A random time to live: responses that were made together must not all expire together.
            lasting = message.HasField("as_of") and not events_expire
            ttl = math.inf if lasting else ttl_seconds * random.uniform(0.5, 1.0)  # noqa: S311
            cache.put(key, wire, dependencies, now + ttl)
            return wire

        return handle

    return intercept


def _name_read(method: Method) -> str:
    """Name a method and the purposes of the call, on which the response depends as on the request."""
    return " ".join([method.name, *sorted(stated_purposes())])


def _named_shoppers(request: Any) -> list[str]:
    """List all shoppers that a request names, also in examples of labels: a withdrawal of any of them must count."""
    examples = getattr(request, "label_examples", ())
    shoppers = [request.shopper, *(shopper for label in examples for shopper in label.shoppers)]
    return [shopper.shopper_id for shopper in shoppers if shopper.shopper_id]


def _is_degraded(response: Message) -> bool:
    profile: Any = getattr(response, "profile", response)
    return bool(getattr(profile, "degraded", False))  # shelves need no models
