"""The synchronous and the asynchronous client have the same methods, parameters and documentation."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from portrait.client import AsyncClient, Client

REPOSITORY = Path(__file__).parents[3]
METHODS = sorted(name for name, member in vars(Client).items() if inspect.isfunction(member))


def formatted(source: str) -> str:
    """Sort the imports of a program and format it, as `make protos` does."""
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "clients/portrait/client/aio.py", "-"]
        source = subprocess.run(
            ruff, input=source, capture_output=True, check=True, encoding="utf-8", cwd=REPOSITORY
        ).stdout
    return source


def test_the_asynchronous_client_is_generated_from_the_synchronous_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "clients")
    from generate_aio import CLIENT, generate

    made = formatted(generate((CLIENT / "sync.py").read_text(encoding="utf-8")))
    assert made == (CLIENT / "aio.py").read_text(encoding="utf-8"), "run `make protos`"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_one_signature_and_one_docstring(name: str) -> None:
    one, other = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.signature(one).parameters == inspect.signature(other).parameters
    assert one.__doc__ == other.__doc__


def test_the_clients_have_the_same_methods() -> None:
    assert sorted(name for name, member in vars(AsyncClient).items() if inspect.isfunction(member)) == METHODS
    assert inspect.signature(Client).parameters.keys() == inspect.signature(AsyncClient).parameters.keys()
