"""LitServe: one worker, its batching, its fast queue, one process of its HTTP server."""

import base64

import litserve

from benchmarks.common.encoders import Array
from benchmarks.serving.peer import model


class Api(litserve.LitAPI):
    """An API with the text in JSON and the embedding in base64 in JSON."""

    def setup(self, device: str) -> None:
        """Open the model."""
        self._encode = model.open_encoder()

    def decode_request(self, request: dict[str, str]) -> str:
        """Return the text."""
        return request["text"]

    def predict(self, texts: list[str]) -> list[Array]:
        """Encode a batch of texts."""
        return list(self._encode(texts))

    def encode_response(self, output: Array) -> dict[str, str]:
        """Return the embedding."""
        return {"embedding": base64.b64encode(output.tobytes()).decode()}


def run_server(server: litserve.LitServer) -> None:
    """Run a server at the port of the settings, with one process of its HTTP server."""
    server.run(
        host="127.0.0.1",
        port=model.read_number(model.PORT),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )


if __name__ == "__main__":
    api = Api(max_batch_size=model.read_number(model.BATCH), batch_timeout=model.read_number(model.WAIT_MS) / 1000)
    run_server(litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=60))
