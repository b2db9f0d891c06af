"""Streams of requests: they are made of a caller's entries while they are sent."""

import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from portrait.client.arguments import check_each
from portrait.client.errors import PortraitError


class SingleRequest:
    """The request of a call that takes one.

    Args:
        request: the message.
    """

    failure: Exception | None = None

    def __init__(self, request: Any) -> None:
        self._request = request

    def begin(self) -> Any:
        """Return the message."""
        return self._request

    def record_response(self) -> None:
        """Do nothing: the message can be sent again."""

    def locate(self, failure: PortraitError) -> PortraitError:
        """Return the error: it has the paths of this message."""
        return failure


class RequestStream:
    """The requests of one call.

    Requests are kept until the first response, so that another attempt of the call can send them again. Entries are
    read in the thread that sends: an error of theirs ends the stream, and is raised behind the responses.

    Args:
        entries: what the requests are made of; read once, while requests are sent.
        field: the repeated field of a request that holds the entries, and the name of the client's argument.
        kind: type of an entry.
        size: entries of a request.
        build: makes a request of entries.
    """

    def __init__(
        self, entries: Iterable[Any], field: str, kind: Any, size: int, build: Callable[[Sequence[Any]], Any]
    ) -> None:
        self._entries, self._field, self._kind, self._size, self._build = iter(entries), field, kind, size, build
        self._unread: Iterator[Any] = self._make_requests()
        self._kept: list[Any] = []
        self._keeps = True
        self._reading = threading.Lock()
        self.failure: Exception | None = None
        """The error that ended the stream."""

    def begin(self) -> Iterator[Any]:
        """Begin an attempt: yield all requests from the first on. Attempts before may still read, in other threads."""
        for place in itertools.count():
            with self._reading:
                kept = self._kept
                request = kept[place] if place < len(kept) else next(self._unread, None)
                if place == len(kept) and self._keeps and request is not None:
                    kept.append(request)
            if request is None:
                return
            yield request

    def record_response(self) -> None:
        """Note that a response has come: the requests are not sent again.

        It does not wait for a thread that reads entries: the next entry may depend on this response.
        """
        self._keeps = False
        self._kept = []

    def locate(self, failure: PortraitError) -> PortraitError:
        """Replace paths within the stream by those of the client's argument: `requests[1].texts[3]` by `texts[67]`."""
        pattern = rf"requests\[(\d+)\]\.{self._field}\[(\d+)\]"

        def replace(found: re.Match[str]) -> str:
            return f"{self._field}[{self._size * int(found[1]) + int(found[2])}]"

        return failure.with_places(lambda text: re.sub(pattern, replace, text))

    def _make_requests(self) -> Iterator[Any]:
        try:
            for first in itertools.count(step=self._size):
                part = list(itertools.islice(self._entries, self._size))
                if not part:
                    return
                check_each(part, self._kind, self._field, first)
                yield self._build(part)
        except Exception as error:  # gRPC would log it, and end the call as cancelled
            self.failure = error
