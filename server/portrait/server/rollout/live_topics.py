"""The sensitive topics of all engines, which follow the operator's file while the gateway runs."""

import asyncio

import structlog

from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.runtime.live_file import LiveFile
from portrait.server.sensitivity.release_topics import ReleaseTopics
from portrait.server.sensitivity.topic_file import TopicPolicy

_log = structlog.get_logger(__name__)


class LiveTopics:
    """Has every engine judge its items anew when the file changes.

    Args:
        file: the file of topics.
        registry: the engines.
    """

    def __init__(self, file: LiveFile[TopicPolicy], registry: EngineRegistry) -> None:
        self.file, self._registry = file, registry
        self.changes = 0
        """Number of times that engines got other topics."""

    async def refresh(self) -> None:
        """Read the file again if it has changed, and have all engines follow at once.

        Until their items are judged, some twenty seconds for a million, the topics before stay in force. An engine that
        was opened meanwhile follows by the next call.
        """
        await self.file.refresh()
        policy = self.file.now
        behind = [engine for engine in self._registry.engines.values() if engine.topics.policy is not policy]
        if not behind:
            return
        judged = [await asyncio.to_thread(ReleaseTopics, policy, engine.release) for engine in behind]
        for engine, topics in zip(behind, judged, strict=True):
            engine.topics = topics
            _log.info("topics_judged", release=engine.release.number, items=topics.count_items())
        self.changes += 1
