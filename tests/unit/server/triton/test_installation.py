import ctypes.util
import re
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from portrait.features.installation import explain_install
from portrait.server.triton import TritonError, installation

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel's folder with a server, found by its name, on an interpreter with no shared library."""
    package = tmp_path / "site-packages" / "pytriton"
    server = package / "tritonserver" / "bin" / "tritonserver"
    stub = package / "tritonserver" / "python_backend_stubs" / VERSION / "triton_python_backend_stub"
    for file in (package / "__init__.py", server, stub):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    spec = ModuleSpec("pytriton", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(installation, "find_spec", lambda name: spec)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "python"))
    return package


def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    with pytest.raises(TritonError, match=re.escape(f"{explain_install('triton')}; or give --triton-url")):
        installation.find()


def test_without_the_shared_library_of_python_it_says_what_to_install(wheel: Path) -> None:
    with pytest.raises(TritonError, match=rf"install the package libpython{VERSION} "):
        installation.find()


def test_without_a_stub_for_this_python_it_names_those_that_have_one(wheel: Path) -> None:
    (wheel / "tritonserver" / "python_backend_stubs" / VERSION / "triton_python_backend_stub").unlink()
    with pytest.raises(TritonError, match=f"no stub for Python {VERSION}"):
        installation.find()


def test_the_shared_library_may_lie_beside_an_interpreter_that_was_moved(wheel: Path, tmp_path: Path) -> None:
    library = tmp_path / "python" / "lib" / f"libpython{VERSION}.so.1.0"
    library.parent.mkdir(parents=True)
    library.touch()
    assert installation.find().server == wheel / "tritonserver" / "bin" / "tritonserver"


def test_the_server_sees_the_packages_of_this_interpreter_first(wheel: Path, tmp_path: Path) -> None:
    library = tmp_path / "python" / "lib" / f"libpython{VERSION}.so.1.0"
    library.parent.mkdir(parents=True)
    library.touch()
    variables = installation.environment(installation.find())
    assert variables["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert str(library.parent) in variables["LD_LIBRARY_PATH"].split(":")
