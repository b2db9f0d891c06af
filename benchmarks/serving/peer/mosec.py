"""Mosec: one worker and its batching; text and embedding as bare bytes."""

import sys
from collections.abc import Sequence

import mosec

from benchmarks.serving.peer import model


class Encoder(mosec.Worker):
    """Encode a batch of texts."""

    def __init__(self) -> None:
        self._encode = model.open_encoder()

    def deserialize(self, data: bytes) -> str:
        """Return the text."""
        return data.decode()

    def forward(self, data: Sequence[str]) -> list[bytes]:
        """Return the embeddings."""
        return [row.tobytes() for row in self._encode(data)]

    def serialize(self, data: bytes) -> bytes:
        """Return the embedding."""
        return data


if __name__ == "__main__":
    batch, wait = model.read_number(model.BATCH), model.read_number(model.WAIT_MS)
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(model.read_number(model.PORT)), "--log-level", "warning"]
    server = mosec.Server()
    server.append_worker(Encoder, num=1, max_batch_size=batch, max_wait_time=max(1, wait), timeout=60)
    server.run()
