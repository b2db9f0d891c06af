"""Faults that are injected into the gateway, one at a time."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable

from benchmarks.common.faults.gateway import GatewayUnderTest

MAX_LOCK_SECONDS = 8.0
"""Maximum seconds of a lock: longer than the gateway waits, so that writes fail for some seconds."""
_CLOCK_STEPS = (-60.0, 60.0, 600.0, 7200.0)
_STALL_SECONDS = 3.0
_GONE_SECONDS = 2.0


def kill_stub(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Kill the process of one model, as the kernel does when memory is short."""
    stubs = harmed.stubs()
    if not stubs:
        return None
    os.kill(rng.choice(stubs), signal.SIGKILL)
    return "killed"


def kill_triton(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Kill the Triton server."""
    triton = harmed.triton()
    if triton is None:
        return None
    os.kill(triton, signal.SIGKILL)
    return "killed"


def stop_triton(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Pause the Triton server, as on an overloaded machine."""
    triton = harmed.triton()
    if triton is None:
        return None
    os.kill(triton, signal.SIGSTOP)
    time.sleep(_STALL_SECONDS)
    os.kill(triton, signal.SIGCONT)
    return f"stopped for {_STALL_SECONDS:.0f} s"


def kill_worker(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Kill one of the gateway processes."""
    workers = harmed.workers()
    if not workers:
        return None
    os.kill(rng.choice(workers), signal.SIGKILL)
    return "killed"


def stall_log_reader(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Pause the reader of the log for a while."""
    harmed.reader.send_signal(signal.SIGSTOP)
    time.sleep(_STALL_SECONDS)
    harmed.reader.send_signal(signal.SIGCONT)
    return f"stalled for {_STALL_SECONDS:.0f} s"


def kill_log_reader(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Break the pipe of the log, and start another reader after a while."""
    harmed.reader.kill()
    harmed.reader.wait()
    time.sleep(_GONE_SECONDS)
    harmed.read_log_again()
    return f"gone for {_GONE_SECONDS:.0f} s"


def lock_state(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Hold the write lock of the state file, as a backup or a careless query does."""
    seconds = rng.uniform(0.5, MAX_LOCK_SECONDS)
    connection = sqlite3.connect(harmed.state, isolation_level=None, timeout=MAX_LOCK_SECONDS)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    return f"locked for {seconds:.1f} s"


def step_clock(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Step the gateway's wall clock."""
    step = rng.choice(_CLOCK_STEPS)
    harmed.set_clock(step)
    return f"to {step:+.0f} s"


def swap_certificates(harmed: GatewayUnderTest, rng: random.Random) -> str | None:
    """Replace certificate and key."""
    harmed.certificates.replace()
    return "replaced"


Fault = Callable[[GatewayUnderTest, random.Random], str | None]
"""A fault: returns a description of what was done, None if its target was absent."""

FAULTS: dict[str, Fault] = {
    "model process killed": kill_stub,
    "Triton killed": kill_triton,
    "Triton stopped": stop_triton,
    "gateway process killed": kill_worker,
    "log reader stalled": stall_log_reader,
    "log reader killed": kill_log_reader,
    "state file locked": lock_state,
    "clock stepped": step_clock,
    "certificates swapped": swap_certificates,
}
