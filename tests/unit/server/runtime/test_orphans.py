"""Orphans are reaped, and nobody's own child is."""

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, os, time
from pathlib import Path
import uvloop
from portrait.server.runtime.orphans import run_reaping_orphans

def children():
    me = os.getpid()
    return Path(f"/proc/{me}/task/{me}/children").read_text().split()

async def work():
    orphaning = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.1 & sleep 0.1 &")
    assert await orphaning.wait() == 0
    own = [await asyncio.create_subprocess_exec("sh", "-c", f"sleep 0.{nth}; exit {nth + 1}") for nth in range(8)]
    time.sleep(2.5)  # the loop learns of no end meanwhile
    print([await each.wait() for each in own])
    while children():
        await asyncio.sleep(0.1)

uvloop.run(run_reaping_orphans(work()))
"""


@pytest.mark.slow
def test_orphans_are_reaped_and_own_children_keep_their_exit_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, timeout=120, check=False, encoding="utf-8"
    )
    assert (done.stdout, done.stderr) == ("[1, 2, 3, 4, 5, 6, 7, 8]\n", "")
