"""Routes: which engine answers whom, at one moment. A request takes them at its start and keeps them to its end."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from portrait.server.engine import Engine
from portrait.server.rollout.traffic import Traffic


class Routes:
    """The engines that requests go to; used as a context, which counts the requests that are under way.

    Args:
        traffic: which release serves whom.
        engines: holds the engine of each release that `traffic` routes to.
    """

    def __init__(self, traffic: Traffic, engines: Mapping[int, Engine]) -> None:
        self.traffic = traffic
        self._engines = {number: engines[number] for number in traffic.routed}
        self.under_way = 0
        """Requests that took these routes and have not ended."""

    def __enter__(self) -> Self:
        self.under_way += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.under_way -= 1

    @property
    def serving(self) -> Engine:
        """The engine of all shoppers but those of the canary."""
        return self._engines[self.traffic.serving]

    def engine_for(self, shopper_id: str) -> Engine:
        """Return the engine that serves a shopper; an inline history has the empty id."""
        return self._engines[self.traffic.release_of(shopper_id)]
