"""A fleet of gateways on one Redis: the traffic that all of them follow, and what each of them serves."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import TypeAdapter

from portrait.features.release.manifest import ReleaseError
from portrait.server.rollout.gateway_status import Gateway
from portrait.server.rollout.rollout import Rollout
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.storage.redis import keys, scripts
from portrait.server.storage.redis.connection import Evaluation, RedisConnection, connect

_SILENT_SECONDS = 15
"""A gateway that has not reported for so long is gone."""
_REPORTS = (keys.GATEWAYS, keys.GATEWAY_TIMES)


@dataclass(frozen=True, slots=True)
class Report:
    """The releases of a gateway of the fleet, as it said last."""

    stamp: str | None
    """The stamp of the traffic that it follows; None if it was started with a release of its own."""
    gateway: Gateway

    @classmethod
    def of(cls, rollout: Rollout) -> "Report":
        """Describe a gateway."""
        registry, stamp = rollout.registry, rollout.stamp
        traffic = registry.routes.traffic
        refused = {release: setback.reason for release, setback in rollout.setbacks.refused.items()}
        loaded = frozenset(registry.engines)
        gateway = Gateway(traffic.serving, traffic.canary, traffic.percent, loaded, refused)
        return cls(stamp if isinstance(stamp, str) else None, gateway)


_REPORT = TypeAdapter(Report)


class Fleet:
    """The traffic of a fleet, a `TrafficSource`, and the reports of its gateways.

    Every method may raise Unavailable: Redis does not answer.

    Args:
        connection: to the Redis that holds the state.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection

    async def read_stamp(self) -> str | None:
        """Another text after every choice; None before the first."""
        [stamp] = await self._redis.read([("HGET", keys.TRAFFIC, "stamp")])
        return None if stamp is None else str(stamp.decode())

    async def read(self) -> Traffic | None:
        """The traffic that was chosen last; None if none ever was."""
        [content] = await self._redis.read([("HGET", keys.TRAFFIC, "traffic")])
        return None if content is None else Traffic.parse(content, "the traffic in Redis")

    async def read_first(self) -> Traffic:
        """The traffic that a gateway begins with: there is no newest release that all gateways would agree on."""
        traffic = await self.read()
        if traffic is None:
            raise ReleaseError("no release was ever promoted: run `portrait release promote` with this Redis")
        return traffic

    async def choose(self, traffic: Traffic, before: str | None) -> str:
        """Have all gateways follow other traffic.

        Args:
            traffic: the new one.
            before: the stamp of the traffic that it was made of.

        Returns:
            the stamp of the new one.

        Raises:
            TrafficError: somebody else chose meanwhile.
        """
        stamp = secrets.token_hex(8)
        values = (before or "", stamp, traffic.to_json())
        [done] = await self._redis.evaluate([Evaluation(scripts.CHOOSE_TRAFFIC, (keys.TRAFFIC,), values)])
        if not done:
            raise TrafficError("somebody else has changed the traffic at the same moment: look at it and try again")
        return stamp

    async def report(self, name: str, rollout: Rollout) -> None:
        """Tell the others what a gateway serves.

        Args:
            name: of the gateway, which no other has.
            rollout: its releases.
        """
        values = (_SILENT_SECONDS, name, _REPORT.dump_json(Report.of(rollout)))
        await self._redis.evaluate([Evaluation(scripts.REPORT_GATEWAY, _REPORTS, values)])

    async def list_reports(self) -> Mapping[str, Report]:
        """The reports of the gateways that have sent one of late, by name."""
        [found] = await self._redis.evaluate([Evaluation(scripts.LIST_GATEWAYS, _REPORTS, (_SILENT_SECONDS,))])
        reports = sorted(zip(found[::2], found[1::2], strict=True))
        return {name.decode(): _REPORT.validate_json(report) for name, report in reports}


@asynccontextmanager
async def open_fleet(url: str) -> AsyncIterator[Fleet]:
    """Connect to the Redis of a fleet until the end of the block.

    Args:
        url: as of the setting `state_url`.

    Raises:
        StoreError: nobody answers there.
    """
    connection = await connect(url, replicas=0)
    try:
        yield Fleet(connection)
    finally:
        await connection.close()
