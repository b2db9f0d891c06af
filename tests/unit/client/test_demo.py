"""The demo tells an error in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "clients/demo"
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import demo
from portrait.client import Client

def unavailable(options):
    Client("127.0.0.1:1", timeout=0.3).get_profile("a")

def silent(options):
    raise ValueError

def long(options):
    raise OSError("first line\\nsecond line")

demo.run = {"unavailable": unavailable, "silent": silent, "long": long}[sys.argv.pop(1)]
demo.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("unavailable", "error: UnavailableError: UNAVAILABLE: "),
        ("silent", "error: ValueError"),
        ("long", "error: OSError: first line second line"),
    ],
)
def test_an_error_is_one_line_and_no_traceback(error: str, told: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(DEMO), error], capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(told)
    assert ended.stderr.count("\n") == 1
