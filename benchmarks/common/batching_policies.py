"""Policies of batching that the gateway's own is compared to."""

import asyncio
from collections.abc import Callable

from benchmarks.common.batching_simulation import Policy, SimulatedModel, Text, make_gateway_batcher
from portrait.server.inference.texts import SHAPES

DELAY = 2e-3
"""Seconds that a batcher of fixed delay waits for more."""


class ArrivalOrderBatcher:
    """A batcher in the order of arrival, padded to the longest text.

    Args:
        model: what runs them.
        budget: places of a batch.
        delay: seconds to wait for more while the model is idle.
        joins: whether texts of several lengths go together. If not, a text of another length ends the batch, as in
            Triton's dynamic batcher.
    """

    def __init__(self, model: SimulatedModel, budget: int, delay: float, joins: bool) -> None:
        self._model, self._budget, self._delay, self._joins = model, budget, delay, joins
        self._waiting: list[tuple[Text, asyncio.Future[int]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, item: Text, deadline: float | None) -> "asyncio.Future[int]":
        """Queue a text; the future holds its answer."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if len(self._running) < self._model.instances:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return answer

    async def _run(self) -> None:
        while self._waiting:
            if self._delay and len(self._batch()) == len(self._waiting):
                await asyncio.sleep(self._delay)
            if not (batch := self._batch()):
                return  # another instance took it meanwhile
            del self._waiting[: len(batch)]
            texts = [text for text, _ in batch]
            answers = await self._model.run(texts, max(text.length for text in texts), None)
            for (_, waits), answer in zip(batch, answers, strict=True):
                if not waits.done():
                    waits.set_result(answer)

    def _batch(self) -> list[tuple[Text, "asyncio.Future[int]"]]:
        batch: list[tuple[Text, asyncio.Future[int]]] = []
        longest = 0
        for text, answer in self._waiting:
            longest = max(longest, text.length)
            if batch and longest * (len(batch) + 1) > self._budget:
                break
            if batch and not self._joins and text.length != batch[0][0].length:
                break
            batch.append((text, answer))
        return batch


POLICIES: dict[str, Callable[[SimulatedModel], Policy]] = {
    "ours": make_gateway_batcher,
    "in order of arrival": lambda model: ArrivalOrderBatcher(model, SHAPES.budget, 0.0, joins=True),
    "fixed delay": lambda model: ArrivalOrderBatcher(model, SHAPES.budget, DELAY, joins=True),
    "fixed delay, one length": lambda model: ArrivalOrderBatcher(model, SHAPES.budget, DELAY, joins=False),
}
