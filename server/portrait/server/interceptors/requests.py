"""Bytes become a request that keeps the contract: here, so that what breaks it gets a status of ours."""

from google.protobuf.message import DecodeError

from portrait.server.contract.validation import violations
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.interceptors.chain import Answer, Behaviour, Context, Method


def requests(method: Method, proceed: Behaviour) -> Behaviour:
    """Parse the request and hold it against the limits. To grpc itself, bytes that can't be read are INTERNAL."""
    if method.takes_stream:
        return proceed

    async def behaviour(request: bytes, context: Context) -> Answer:
        try:
            message = method.parse(request)
        except DecodeError:
            raise InvalidRequest([Violation("", _UNREADABLE)]) from None
        broken = list(violations(message))
        if broken:
            raise InvalidRequest(broken)
        return await proceed(message, context)

    return behaviour


_UNREADABLE = "the bytes are no message of this method: truncated, of another type, or with text that is not UTF-8"
