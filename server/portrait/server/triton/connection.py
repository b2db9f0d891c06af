"""Connections to Triton: each goes straight to it, whatever proxies the environment names."""

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A proxy of the environment is for the web. Triton is on this machine, or in the private network beside it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
"""Options of every channel to Triton."""
_LIVE_SECONDS = 5.0


def open_client(url: str, *options: tuple[str, int]) -> InferenceServerClient:
    """Open a client; whoever opens it closes it.

    Args:
        url: host:port of Triton's gRPC endpoint, or unix:PATH of its socket.
        options: of the channel, beyond those that all have.
    """
    return InferenceServerClient(url, channel_args=[*CHANNEL_OPTIONS, *options])


async def is_live(client: InferenceServerClient) -> bool:
    """Tell whether Triton answers at all, whatever it has loaded."""
    try:
        return bool(await client.is_server_live(client_timeout=_LIVE_SECONDS))
    except InferenceServerException:
        return False
