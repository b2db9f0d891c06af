"""Connections to Triton: each goes straight to it, whatever proxies the environment names."""

import grpc
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A proxy of the environment is for the web. Triton is on this machine, or in the private network beside it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
"""Options of every channel to Triton."""


def open_client(url: str, *options: tuple[str, int]) -> InferenceServerClient:
    """Open a client; whoever opens it closes it.

    Args:
        url: host:port of Triton's gRPC endpoint, or unix:PATH of its socket.
        options: of the channel, beyond those that all have.
    """
    return InferenceServerClient(url, channel_args=[*CHANNEL_OPTIONS, *options])


def open_inference(url: str, *options: tuple[str, int]) -> tuple[grpc.aio.Channel, GRPCInferenceServiceStub]:
    """Open a channel for inferences alone, and its stub; whoever opens it closes it. The arguments are those of the client."""
    channel = grpc.aio.insecure_channel(url, [*CHANNEL_OPTIONS, *options])
    return channel, GRPCInferenceServiceStub(channel)
