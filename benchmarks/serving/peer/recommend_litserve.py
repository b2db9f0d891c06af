"""LitServe around the recommender: one worker for each core, its fast queue, requests and responses in base64."""

import base64

import litserve

from benchmarks.serving.peer import model
from benchmarks.serving.peer.litserve import run_server
from benchmarks.serving.peer.recommender import Recommender
from portrait.v1.recommendation_service_pb2 import RecommendRequest


class Api(litserve.LitAPI):
    """An API with messages of the contract in base64 in JSON, under the keys that `senders` knows."""

    def setup(self, device: str) -> None:
        """Load the release."""
        self._recommender = Recommender(model.read_repository())

    def decode_request(self, request: dict[str, str]) -> RecommendRequest:
        """Return the request."""
        return RecommendRequest.FromString(base64.b64decode(request["text"]))

    def predict(self, request: RecommendRequest) -> bytes:
        """Recommend items."""
        return self._recommender.recommend(request).SerializeToString()

    def encode_response(self, output: bytes) -> dict[str, str]:
        """Return the response."""
        return {"response": base64.b64encode(output).decode()}


if __name__ == "__main__":
    workers = model.read_number(model.THREADS)
    run_server(litserve.LitServer(Api(), accelerator="cpu", workers_per_device=workers, fast_queue=True, timeout=60))
