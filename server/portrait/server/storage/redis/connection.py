"""The connection to Redis: pipelines of commands, retries while a cluster fails over, typed errors."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    NoScriptError,
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
)

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import DiskFull, PortraitError, Unavailable
from portrait.server.runtime.tracing import trace_request
from portrait.server.storage.durations import READ_DURATION, WRITE_DURATION
from portrait.server.storage.redis.scripts import Script
from portrait.server.storage.store import StoreError

MAX_WAIT_SECONDS = 5.0
"""A call waits so long for a server that is gone: a cluster takes about as long to replace it."""
_CONNECT_SECONDS, _ANSWER_SECONDS = 1.0, 2.0
"""Timeouts of one attempt."""
_PAUSE_SECONDS = 0.1
_MAX_CONNECTIONS = 64
"""Connections to a server, and pipelines that run at one time."""
_RETRY_SECONDS = 1.0
_LOG_SECONDS = 5.0
"""A kind of failure is logged once in this time, with their number."""
_FULL_SECONDS = 10.0
_SCAN_KEYS = 1_000
STORE_NAME = "portrait"
"""Name of the connections of a store."""
DATABASE = {"db.system.name": "redis"}
"""Attributes of the spans of reads and writes."""

_log = structlog.get_logger(__name__)

Command = Sequence[Any]
"""A command and its arguments."""


class Evaluation(NamedTuple):
    """A script with its arguments."""

    script: Script
    keys: Sequence[str]
    values: Sequence[Any]


class NotReplicated(RedisError):
    """A write is not on as many replicas as it must be."""


class RedisConnection:
    """Runs commands; see `connect`.

    Args:
        client: the client of a server or of a cluster.
        replicas: replicas that must have a write before it counts.
    """

    def __init__(self, client: "Redis | RedisCluster", replicas: int) -> None:
        self._client, self._replicas = client, replicas
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._reading = asyncio.Lock()
        """Held while the topology of a cluster is read."""
        self.failures: Counter[str] = Counter()
        """Failed calls, by the name of the error."""
        self._logged: dict[str, float] = {}

    async def read(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands that change nothing, in one round trip to each server; returns their answers.

        Raises:
            Unavailable: Redis does not answer.
        """
        if not commands:
            return []
        with trace_request("state read", DATABASE), READ_DURATION.time():
            return await self._run_patiently(commands, (), 0)

    async def write(self, command: Command) -> Any:
        """Run a command that changes one key, and wait for the replicas; it may run twice if an answer is lost.

        Raises:
            Unavailable: Redis does not answer, or too few replicas do.
            DiskFull: its memory is full.
        """
        [answer] = await self.write_all([command])
        return answer

    async def write_all(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands that change one key each: one may be done and another not. Otherwise as `write`."""
        if not commands:
            return []
        with trace_request("state write", DATABASE), WRITE_DURATION.time():
            return await self._run_patiently(commands, (), self._replicas)

    async def evaluate(self, evaluations: Sequence[Evaluation]) -> list[Any]:
        """Run scripts that change something, each by itself: one may be done and another not. Otherwise as `write`."""
        if not evaluations:
            return []
        with trace_request("state write", DATABASE), WRITE_DURATION.time():
            return await self._run_patiently((), evaluations, self._replicas)

    async def evaluate_one(self, script: Script, used: Sequence[str], values: Sequence[Any]) -> Any:
        """Run one script that changes something, and return its answer. Otherwise as `evaluate`."""
        [answer] = await self.evaluate([Evaluation(script, used, values)])
        return answer

    async def query(self, evaluations: Sequence[Evaluation]) -> list[Any]:
        """Run scripts that change nothing, in one round trip to each server. Otherwise as `read`."""
        with trace_request("state read", DATABASE), READ_DURATION.time():
            return await self._run_patiently((), evaluations, 0)

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """Yield the keys that match a pattern, perhaps one of them twice, while others write.

        Raises:
            RedisError: Redis does not answer.
        """
        async for key in self._client.scan_iter(pattern, count=_SCAN_KEYS):
            yield key.decode()

    async def list_clients(self) -> list[str]:
        """The names of all connections to the masters.

        Raises:
            RedisError: Redis does not answer, or does not allow it.
        """
        if isinstance(self._client, RedisCluster):
            answers = [await self._client.client_list(target_nodes=node) for node in self._client.get_primaries()]
        else:
            answers = [await self._client.client_list()]
        return [str(client["name"]) for clients in answers for client in clients]

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _run_patiently(
        self, commands: Sequence[Command], evaluations: Sequence[Evaluation], replicas: int
    ) -> list[Any]:
        """Try until it is done, or until the time is up; all that is run here may be repeated."""
        until = time.monotonic() + MAX_WAIT_SECONDS
        async with self._slots:
            while True:
                try:
                    return await self._attempt(commands, evaluations, replicas)
                except NoScriptError:
                    for script in {each.script for each in evaluations}:
                        await self._client.script_load(script.text)
                    continue
                except (RedisError, RedisClusterException, OSError) as error:
                    failure = self._to_typed_error(error)
                if isinstance(failure, DiskFull) or time.monotonic() >= until:
                    raise failure
                await asyncio.sleep(_PAUSE_SECONDS)
                await self._read_topology()

    async def _attempt(
        self, commands: Sequence[Command], evaluations: Sequence[Evaluation], replicas: int
    ) -> list[Any]:
        """Run everything once, in one round trip to each server; raises the first error."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        for script, keys, values in evaluations:
            pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *values)
        used = [*(command[1] for command in commands), *(each.keys[0] for each in evaluations)]
        waits = self._add_waits(pipeline, used, replicas) if replicas else 0
        answers = await self._send(pipeline)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if waits and (least := min(answers[-waits:])) < replicas:
            raise NotReplicated(f"{least} of {replicas} replicas have a write")
        return answers[: len(answers) - waits]

    async def _send(self, pipeline: Any) -> list[Any]:
        """Run a pipeline once. A cluster's client must not run a part of it again by itself.

        It would run that elsewhere, on another connection: there, WAIT would acknowledge what it has not seen.
        """
        if isinstance(self._client, RedisCluster):
            answers: list[Any] = await pipeline.execute(raise_on_error=False, allow_redirections=False)
        else:
            answers = await pipeline.execute(raise_on_error=False)
        return answers

    async def _read_topology(self) -> None:
        """Ask a cluster anew which server has which slots; a server alone has no others."""
        if isinstance(self._client, RedisCluster):
            async with self._reading:
                with contextlib.suppress(RedisError, RedisClusterException, OSError):
                    await self._client.nodes_manager.initialize()

    def _add_waits(self, pipeline: Any, keys: Sequence[str], replicas: int) -> int:
        """Add to a pipeline, for each server, that it waits for its replicas; returns how many answers that gives."""
        wait = ("WAIT", replicas, round(1000 * _ANSWER_SECONDS / 2))
        if not isinstance(self._client, RedisCluster):
            pipeline.execute_command(*wait)
            return 1
        nodes = {node.name: node for node in map(self._client.get_node_from_key, keys) if node is not None}
        for node in nodes.values():
            pipeline.execute_command(*wait, target_nodes=node)
        return len(nodes)

    def _to_typed_error(self, error: Exception) -> PortraitError:
        name = type(error).__name__
        self.failures[name] += 1
        now = time.monotonic()
        if now - self._logged.get(name, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[name] = now
            # Without its text, which may hold a key, and so a shopper's id.
            _log.error("storage_failure", redis_error=name, failures=self.failures[name])
        if isinstance(error, OutOfMemoryError):
            return DiskFull("the memory of Redis is full", _FULL_SECONDS)
        return Unavailable("Redis does not answer, or can't write", _RETRY_SECONDS, ErrorReason.STATE_UNUSABLE)


async def connect(url: str, replicas: int, name: str = STORE_NAME) -> RedisConnection:
    """Connect to a server or to a cluster, whichever answers.

    Args:
        url: redis://HOST:PORT, rediss:// for TLS, or unix://PATH; of a cluster that of any node.
        replicas: replicas that must have a write before it counts.
        name: of the connections, for whoever lists them.

    Raises:
        StoreError: nobody answers there, the password is wrong, or it is older than Redis 7.
    """
    options: dict[str, Any] = {
        "socket_timeout": _ANSWER_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "max_connections": 2 * _MAX_CONNECTIONS,
        "client_name": name,
    }
    once = Retry(NoBackoff(), 0)  # `_run_patiently` knows for how long to try
    try:
        single = Redis.from_url(url, retry=once, **options)
        information = await single.info("server")
        if int(str(information["redis_version"]).split(".", maxsplit=1)[0]) < 7:
            raise StoreError(
                f"the Redis at {_shown(url)} is version {information['redis_version']}; 7 or later is wanted"
            )
        if information.get("redis_mode") != "cluster":
            return RedisConnection(single, replicas)
        await single.aclose()
        cluster = RedisCluster.from_url(url, retry=once, **options)
        await cluster.initialize()
    except (RedisError, RedisClusterException, OSError, ValueError) as error:
        if "auth" in str(error).lower() or "password" in str(error).lower():  # it has several errors for this
            raise StoreError(f"the Redis at {_shown(url)} refuses the user or password of the URL") from error
        raise StoreError(f"no Redis answers at {_shown(url)}: {error}") from error
    return RedisConnection(cluster, replicas)


def _shown(url: str) -> str:
    """The URL without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
