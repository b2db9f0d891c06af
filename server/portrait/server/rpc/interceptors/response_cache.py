"""What was answered before is answered again at once, as long as nothing has changed that the answer is made from."""

import math
import random
import time
from collections.abc import Callable, Hashable
from typing import Any

import structlog
from google.protobuf.message import DecodeError, Message

from portrait.server.response_cache import ResponseCache
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.storage.store import Store

CACHEABLE_METHODS = {
    "portrait.v1.ProfileService/GetProfile",
    "portrait.v1.RecommendationService/Recommend",
    "portrait.v1.RecommendationService/Rank",
}
"""Methods that change nothing, and whose requests have `shopper` and `as_of`."""
_MAX_REQUEST_BYTES = 1 << 16
"""A longer request is rarely sent again, and costs much to read before it is admitted, in bytes."""


def cache_responses(given: ResponseCache, seconds: float, store: Store, state: Callable[[], Hashable]) -> Interceptor:
    """Keep answers and give them again. Stands outside of `admission`: what costs nothing is never refused.

    A degraded answer is not kept.

    Args:
        given: where they are kept.
        seconds: how old an answer to a request without `as_of`, which means now, may be at most. One with `as_of`
            stays right.
        store: tells when something new is known of a named shopper.
        state: of releases and catalogues; another one after every change.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        if method.name not in CACHEABLE_METHODS:
            return proceed

        async def behaviour(request: bytes, context: Context) -> Response:
            if len(request) > _MAX_REQUEST_BYTES:
                return await proceed(request, context)
            try:
                message = method.parse(request)
            except DecodeError:
                return await proceed(request, context)  # which says what is wrong
            now, key = time.monotonic(), given.key(method.name, request)
            # Before the answer is made: what changes meanwhile makes it one of yesterday.
            made_from = (state(), *map(store.version, _named(message)))
            known = given.get(key, made_from, now)
            if known is not None:
                structlog.contextvars.bind_contextvars(cache_hit=True)
                return known
            answer = await proceed(request, context)
            if answer is None or isinstance(answer, bytes) or _is_degraded(answer):
                return answer
            wire = answer.SerializeToString()
            # Answers that were made together do not grow old together: all at once would be too much to make anew.
            lasts = math.inf if message.HasField("as_of") else seconds * random.uniform(0.5, 1.0)  # noqa: S311
            given.put(key, wire, made_from, now + lasts)
            return wire

        return behaviour

    return intercept


def _named(request: Any) -> list[str]:
    """All shoppers that a request names, those of examples too: what one of them withdraws is not told again."""
    examples = getattr(request, "label_examples", ())
    shoppers = [request.shopper, *(shopper for label in examples for shopper in label.shoppers)]
    return [shopper.shopper_id for shopper in shoppers if shopper.shopper_id]


def _is_degraded(answer: Message) -> bool:
    profile: Any = getattr(answer, "profile", answer)
    return bool(profile.degraded)
