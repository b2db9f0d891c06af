"""The graphs of a release in Triton, which may be several servers: work is balanced, and moves on from one that fails.

A server that is known to be down gets no calls until it answers with its models again (`liveness`). All calls are safe
to repeat, so a call that a server could not answer goes to the next one.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from portrait.features.release.layout import MODELS
from portrait.server.errors import Overloaded, Unavailable
from portrait.server.inference.liveness import ModelStatus
from portrait.server.inference.probes import Probe
from portrait.server.inference.triton_server import READY_SECONDS, TritonServer
from portrait.server.triton.errors import TritonError
from portrait.server.triton.inference_client import Arrays

AHEAD = 1
"""Calls of a graph that are on their way while its instances run others. More would only wait in Triton."""

Outputs = dict[str, NDArray[np.float32]]


class _Call(NamedTuple):
    """The arguments of `TritonModels.run`."""

    model: str
    inputs: Arrays
    outputs: Mapping[str, tuple[int, ...]]
    deadline: float | None


class UnhealthyModel(NamedTuple):
    """A graph whose process in a server does not work."""

    name: str
    url: str


class TritonModels:
    """Runs the graphs of one release.

    Args:
        urls: host:port of the gRPC endpoint of each server, or unix:PATH of its socket; at least one.
        release: version of every model.
        models: their names.
        probes: the smallest inference of each model, by its name.
        is_running: tells whether Triton's process runs; None where that is not known, since others started it.
        hedge_seconds: a call without an answer for so long goes to a second server as well; None for never.
    """

    def __init__(
        self,
        urls: Sequence[str],
        release: int,
        models: Sequence[str] = MODELS,
        probes: Mapping[str, Probe] | None = None,
        is_running: Callable[[], bool] | None = None,
        hedge_seconds: float | None = None,
    ) -> None:
        self._models, self._hedge_seconds = models, hedge_seconds
        self.servers = [TritonServer(url, release, models, probes, is_running) for url in urls]
        self._turns = itertools.count()
        self.failovers = 0
        """Calls that went to another server because one could not answer."""
        self.hedges = 0
        """Calls that went to a second server because the first was slow."""

    async def run(
        self, model: str, inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], deadline: float | None
    ) -> Outputs:
        """Run a graph; see `TritonServer.run`, whose last error this raises if no server answers."""
        call = _Call(model, inputs, outputs, deadline)
        if self._hedge_seconds is None or len(self.servers) == 1:
            return await self._run_anywhere(call, set())
        return await self._run_hedged(call, self._hedge_seconds)

    async def _run_anywhere(self, call: "_Call", tried: set[TritonServer]) -> Outputs:
        """Run on the server with the least to do, and on the next one if that can't answer.

        Args:
            call: the call.
            tried: servers that are not asked; it gets those that are.
        """
        while True:
            server = self._choose_server(tried)
            tried.add(server)
            is_last = len(tried) == len(self.servers)
            try:
                return await server.run(*call, retry=is_last)
            except (Unavailable, Overloaded):
                if is_last:
                    raise
                self.failovers += 1

    async def _run_hedged(self, call: "_Call", seconds: float) -> Outputs:
        """Ask a second server if the first is slow, and take the answer that comes first.

        Args:
            call: the call.
            seconds: how long the first server is waited for.
        """
        tried: set[TritonServer] = set()
        tasks = {asyncio.create_task(self._run_anywhere(call, tried))}
        try:
            await asyncio.wait(tasks, timeout=seconds)
            if not any(task.done() for task in tasks) and len(tried) < len(self.servers):
                self.hedges += 1
                tasks.add(asyncio.create_task(self._run_anywhere(call, {*tried})))
            while True:
                done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                answered = next((task for task in done if task.exception() is None), None)
                if answered is not None:
                    return answered.result()
                if not running:
                    return done.pop().result()  # raises the error of the last
                tasks = running
        finally:
            for task in tasks:
                task.cancel()

    def _choose_server(self, tried: Collection[TritonServer]) -> TritonServer:
        """Choose the server with the fewest calls under way; one that is down only if all are."""
        first, count = next(self._turns), len(self.servers)  # those that have equally little to do take turns
        order = (self.servers[(first + offset) % count] for offset in range(count))
        return min(
            (server for server in order if server not in tried), key=lambda server: (server.is_down, server.outstanding)
        )

    async def is_ready(self, seconds: float = READY_SECONDS) -> bool:
        """Tell whether a server has all graphs loaded and answers.

        Args:
            seconds: how long to wait for the answers.
        """
        return await self.check_models(seconds) is ModelStatus.READY

    async def check_models(self, seconds: float) -> ModelStatus:
        """Return the status of the server that is best off; waits for at most some seconds."""
        found = await asyncio.gather(*(server.check_models(seconds) for server in self.servers))
        return min(found, key=lambda status: status.value)

    async def count_instances(self) -> dict[str, int]:
        """Count the instances of each graph, on all devices of all servers.

        A server that does not answer now counts as much as the others do on average.

        Raises:
            TritonError: no server answers, or none has loaded a graph.
        """
        counted: list[dict[str, int]] = []
        failure: TritonError | None = None
        for server in self.servers:
            try:
                counted.append(await server.count_instances())
            except TritonError as error:
                failure = error
        if failure is not None and not counted:
            raise failure
        share = len(self.servers) / len(counted)
        return {model: round(share * sum(each[model] for each in counted)) for model in self._models}

    def pop_unhealthy(self) -> list[UnhealthyModel]:
        """List the models whose process was called unhealthy again and again; each is told of once."""
        return [UnhealthyModel(model, server.url) for server in self.servers for model in server.pop_unhealthy()]

    async def close(self) -> None:
        """Close the connections."""
        for server in self.servers:
            await server.close()
