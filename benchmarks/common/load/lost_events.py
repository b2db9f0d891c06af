"""Recorded events, counted through the gateway after a run with faults."""

from collections.abc import Mapping

import grpc

from benchmarks.common.load.calls import PROFILE_PATH
from portrait.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse

_DEADLINE = 10.0


async def count_lost_events(channel: grpc.aio.Channel, accepted: Mapping[str, int]) -> int:
    """Count the accepted events that are missing in the profiles of their shoppers.

    Args:
        channel: to the gateway.
        accepted: events that callers were told to be stored, by shopper.
    """
    ask = channel.unary_unary(PROFILE_PATH, bytes, bytes)
    lost = 0
    for shopper, count in accepted.items():
        request = GetProfileRequest(shopper={"shopper_id": shopper}, fields={"paths": ["event_count"]})
        answered = GetProfileResponse.FromString(await ask(request.SerializeToString(), timeout=_DEADLINE))
        lost += max(0, count - answered.profile.event_count)
    return lost
