"""An embedded Triton with little shared memory, as containers have it: in a mount namespace with its own /dev/shm."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_NAMESPACE = ["unshare", "--mount", "--propagation", "private"]
_PROGRAM = """
import asyncio, json, subprocess, sys
from pathlib import Path
from portrait.server.inference.triton import TritonModels
from portrait.server.triton import EmbeddedTriton, TritonError
from support.triton_calls import ranker_inputs

async def main(repository, log):
    said = []
    async with EmbeddedTriton(repository, log) as triton:
        try:
            await triton.load(2)
        except TritonError as error:
            said.append(str(error))
        subprocess.run(["mount", "-o", "remount,size=12m", "/dev/shm"], check=True)
        await triton.load(2)
        models = TritonModels([triton.url], 2)
        for candidates in (100, 30_000, 100):
            try:
                shapes = dict.fromkeys(("score", "click", "purchase"), (4, candidates))
                await models.run("ranker", ranker_inputs(4, candidates), shapes, None)
                said.append("answered")
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}")
        await models.close()
    print(json.dumps(said))

asyncio.run(main(*map(Path, sys.argv[1:])))
"""


def _allowed() -> bool:
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _allowed(), reason="this user may not make a mount namespace")
def test_too_little_is_said_at_the_load_and_while_calls_run(two_releases: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    command = 'mount -t tmpfs -o size=4m tmpfs /dev/shm && exec "$@"'
    done = subprocess.run(
        [*_NAMESPACE, "sh", "-c", command, "sh", sys.executable, program, two_releases, tmp_path / "triton.log"],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    *logged, answers = done.stdout.splitlines()
    refused, small, large, again = json.loads(answers)
    assert refused == (
        "/dev/shm is too small: release 2 needs 10 MiB of shared memory for its 5 model processes, and more for "
        "large requests; 4 MiB are free. Give the container more, for example docker run --shm-size 256m"
    )
    assert (small, again) == ("answered", "answered")
    assert large == "Unavailable: the models are out of shared memory"
    [line] = [line for line in logged if "shared_memory_full" in line]
    assert "--shm-size" in line
