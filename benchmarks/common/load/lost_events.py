"""Recorded events, counted through the gateway after a run with faults."""

from collections.abc import Mapping

import grpc

from portrait.v1.consent_service_pb2 import ExportShopperRequest, ExportShopperResponse

_EXPORT_PATH = "/portrait.v1.ConsentService/ExportShopper"
_DEADLINE = 10.0


async def count_lost_events(channel: grpc.aio.Channel, accepted: Mapping[str, int]) -> int:
    """Count the accepted events that are missing in the exports of their shoppers.

    A profile would leave out events of sensitive topics.

    Args:
        channel: to the gateway.
        accepted: events that callers were told to be stored, by shopper.
    """
    export = channel.unary_stream(_EXPORT_PATH, bytes, ExportShopperResponse.FromString)
    lost = 0
    for shopper, count in accepted.items():
        request = ExportShopperRequest(shopper_id=shopper).SerializeToString()
        lost += max(0, count - sum([len(part.events) async for part in export(request, timeout=_DEADLINE)]))
    return lost
