"""The encoding of files of texts by streams, each of which goes on where the one before broke."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from portrait.client.errors import DeadlineExceededError, UnavailableError

if TYPE_CHECKING:
    from portrait.client.results import Embeddings
    from portrait.client.sync import Client

_TEXTS_PER_STREAM = 4_096
"""Texts of one stream: some seconds of work. A stream that does not end within its deadline goes on in another."""


def encode_all(client: "Client", texts: Iterable[str]) -> Iterator[tuple[list[str], "Embeddings"]]:
    """Encode texts; yields parts of them with their vectors, in order.

    Raises:
        PortraitError: a stream failed before it returned anything.
    """
    unread = iter(texts)
    while part := list(islice(unread, _TEXTS_PER_STREAM)):
        yield from _encode_part(client, part)


def _encode_part(client: "Client", texts: list[str]) -> Iterator[tuple[list[str], "Embeddings"]]:
    done = 0
    while done < len(texts):
        begun = done
        try:
            for encoded in client.encode_text_stream(texts[begun:]):
                count = len(encoded.vectors)
                yield texts[done : done + count], encoded
                done += count
        except (DeadlineExceededError, UnavailableError):  # a gateway that is slow, or restarts
            if done == begun:
                raise
