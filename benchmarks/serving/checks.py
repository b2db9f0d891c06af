"""Cost of the checks of a shopper's rights: `python -m benchmarks serving.checks REPOSITORY`.

Two gateways answer the same cold recommendations to shoppers whose events are recorded, in turns. One checks nothing:
whoever reaches it may call, no topic is sensitive, and no decision is recorded. The other requires a signed token, has
the sensitive topics that Portrait ships, and every shopper has decided on every purpose. The response cache is off, and
no shopper is asked for twice.
"""

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from benchmarks.common.cli import run_part
from benchmarks.common.cpu_times import CpuMeter, name_process
from benchmarks.common.gateway import NO_RESPONSE_CACHE, Gateway, run_gateway
from benchmarks.common.load.calls import HISTORY_EVENTS, RECOMMEND_PATH, read_items
from benchmarks.common.load.generator import Call, Load, run_load
from benchmarks.common.load.rates import require_answered
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS
from portrait.client import Client, Consent, Event, EventType, Purpose
from portrait.training.metrics import bootstrap_interval
from portrait.v1.recommendation_service_pb2 import RecommendRequest

_ISSUER, _AUDIENCE, _KEY_ID = "https://login.shop.example", "portrait", "benchmark"
_SCOPES = "read:recommendation write:event write:consent"
_IN_FLIGHT, _DEADLINE = 4, 10.0
_CALLS_OF_TURN = 100


@dataclass(frozen=True)
class _Side:
    """A gateway, and what its callers send beside their requests."""

    gateway: Gateway
    token: str = ""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def measure_turn(self, calls: Sequence[Call]) -> float:
        """Send calls, and return the milliseconds of CPU of each, of all processes."""
        meter = CpuMeter(self.gateway.process.pid, name_process)
        address, count, sent = self.gateway.address, len(calls), self.metadata
        load = Load(address, calls, 600.0, _DEADLINE, in_flight=_IN_FLIGHT, count=count, metadata=sent)
        require_answered(run_load(load))
        return sum(meter.read().values()) / len(calls)


def measure(repository: Path, turns: int) -> list[Result]:
    """Measure the CPU time of a call with and without checks, in turns; the first turn of each is not counted."""
    shoppers = [f"shopper-{place}" for place in range((int(turns) + 1) * _CALLS_OF_TURN)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sides = [stack.enter_context(run(repository, folder)) for run in (_run_without_checks, _run_with_checks)]
        for side in sides:
            _record(side, repository, shoppers)
        costs = np.array(
            [
                [side.measure_turn(_make_calls(shoppers[first : first + _CALLS_OF_TURN])) for side in sides]
                for first in range(0, len(shoppers), _CALLS_OF_TURN)
            ]
        )[1:]
    without, checked = costs.mean(0).tolist()
    low, high = bootstrap_interval((costs[:, 1] - costs[:, 0]) / without)
    sys.stderr.write(json.dumps({"without": costs[:, 0].tolist(), "checked": costs[:, 1].tolist()}) + "\n")
    beside = f"without checks, {without:.2f} ms; {low:+.1%} to {high:+.1%}"
    return [Result("cold Recommend with all checks: CPU", checked, "ms", beside, checked / without, "ratio <= 1.05")]


@contextmanager
def _run_without_checks(repository: Path, folder: Path) -> Iterator[_Side]:
    topics = folder / "no-topics.toml"
    topics.write_text("extends = false\n", encoding="utf-8")
    with run_gateway(repository, *NO_RESPONSE_CACHE, "--sensitive", str(topics)) as gateway:
        yield _Side(gateway)


@contextmanager
def _run_with_checks(repository: Path, folder: Path) -> Iterator[_Side]:
    key = Ed25519PrivateKey.generate()
    public = {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": _KEY_ID, "alg": "EdDSA"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [public]}), encoding="utf-8")
    access = folder / "access.toml"
    access.write_text(
        f'[tokens]\nissuer = "{_ISSUER}"\naudience = "{_AUDIENCE}"\nkeys = "jwks.json"\n', encoding="utf-8"
    )
    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "storefront", "scope": _SCOPES, "exp": time.time() + 86_400.0}
    token = jwt.encode(claims, key, "EdDSA", headers={"kid": _KEY_ID})
    with run_gateway(repository, *NO_RESPONSE_CACHE, "--access", str(access)) as gateway:
        yield _Side(gateway, token)


def _record(side: _Side, repository: Path, shoppers: Sequence[str]) -> None:
    """Record the same events on each side; where calls are checked, also a decision on every purpose."""
    rng, items, now = random.Random(1), read_items(repository), datetime.now(UTC)
    events = [
        (shopper, Event(EventType.VIEW, f"event-{place}", now - timedelta(minutes=place + 1), item["item_id"]))
        for shopper in shoppers
        for place, item in enumerate(rng.choices(items, k=HISTORY_EVENTS))
    ]
    with Client(side.gateway.address, token=side.token, timeout=60.0) as client:
        assert client.record_events(events).accepted == len(events)
        for shopper in shoppers if side.token else ():
            client.set_consents(shopper, [Consent(purpose, granted=True) for purpose in Purpose])


def _make_calls(shoppers: Sequence[str]) -> list[Call]:
    requests = (RecommendRequest(shopper={"shopper_id": shopper}, k=10) for shopper in shoppers)
    return [Call(RECOMMEND_PATH, request.SerializeToString()) for request in requests]


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.checks", __doc__, measure, PARTS["checks"].options, arguments)
