"""A gRPC server around the recommender, as a good engineer writes it in a day: a process for each core, no batching."""

import os

import grpc
import uvloop

from benchmarks.serving.peer import model
from benchmarks.serving.peer.recommender import Recommender
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

_SERVICE, _METHOD = "portrait.v1.RecommendationService", "Recommend"


async def _serve() -> None:
    recommender = Recommender(model.read_repository())

    async def recommend(request: RecommendRequest, _: object) -> RecommendResponse:
        # In the thread that reads the calls: another one would only wait for the interpreter's lock.
        return recommender.recommend(request)

    handler = grpc.unary_unary_rpc_method_handler(
        recommend, RecommendRequest.FromString, RecommendResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
    server.add_insecure_port(f"127.0.0.1:{model.read_number(model.PORT)}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    for _ in range(model.read_number(model.THREADS) - 1):
        if not os.fork():
            break
    uvloop.run(_serve())
