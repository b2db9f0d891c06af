"""Files of texts by streams: each goes on where the one before broke."""

from collections.abc import Iterator, Sequence

import grpc
import pytest

from portrait.client.bulk_encoding import encode_all
from portrait.client.errors import DeadlineExceededError, PortraitError, UnavailableError
from portrait.client.results import Embeddings
from portrait.client.testing import FakeClient

TEXTS = [f"text {n}" for n in range(200)]
UNAVAILABLE = UnavailableError(grpc.StatusCode.UNAVAILABLE, "the server ends")
LATE = DeadlineExceededError(grpc.StatusCode.DEADLINE_EXCEEDED, "not done within 30 s")


class BreakingClient(FakeClient):
    """Its streams break after so many responses each, the first one first; later ones do not."""

    def __init__(self, breaks: Sequence[tuple[int, PortraitError]]) -> None:
        super().__init__()
        self._breaks = list(breaks)

    def encode_text_stream(self, texts: Sequence[str], **_: object) -> Iterator[Embeddings]:  # type: ignore[override]
        responses, error = self._breaks.pop(0) if self._breaks else (len(texts), None)
        for place, part in enumerate(super().encode_text_stream(texts)):
            if place == responses and error is not None:
                raise error
            yield part


@pytest.mark.parametrize("error", [UNAVAILABLE, LATE])
def test_a_broken_stream_goes_on_behind_the_vectors_that_came(error: PortraitError) -> None:
    client = BreakingClient([(2, error), (1, error)])
    parts = list(encode_all(client, TEXTS))
    assert [text for texts, _ in parts for text in texts] == TEXTS
    vectors = [vector for _, encoded in parts for vector in encoded.vectors]
    assert vectors == list(FakeClient().encode_texts(TEXTS).vectors)


def test_a_stream_that_breaks_before_it_returned_anything_ends_it() -> None:
    with pytest.raises(UnavailableError):
        list(encode_all(BreakingClient([(1, UNAVAILABLE), (0, UNAVAILABLE)]), TEXTS))
