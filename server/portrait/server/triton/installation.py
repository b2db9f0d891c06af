"""The installation of the Triton server of the wheel `nvidia-pytriton`: its path and its environment."""

import ctypes.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from portrait.features.installation import explain_install
from portrait.server.triton.errors import TritonError

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_STUB = "triton_python_backend_stub"
_OUR_BACKENDS = Path(__file__).parent / "backends"


@dataclass(frozen=True)
class Installation:
    """The parts of the wheel that are used."""

    server: Path
    """The `tritonserver` binary."""
    python_backend: Path
    """Folder of Triton's Python backend."""
    stub: Path
    """The program that runs a Python model, for the running version of Python."""
    libraries: Path
    """Folder of the shared libraries that the wheel brings."""
    caches: Path
    """Folder of Triton's response caches: unused, but Triton wants one."""


def find() -> Installation:
    """Find the installed server.

    Raises:
        TritonError: it, its stub or the interpreter's shared library is missing.
    """
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise TritonError(f"no Triton server is installed: {explain_install('triton')}; or give --triton-url")
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    found = Installation(
        server=root / "bin" / "tritonserver",
        python_backend=root / "backends" / "python",
        stub=root / "python_backend_stubs" / _VERSION / _STUB,
        libraries=package.parent / "nvidia_pytriton.libs",
        caches=root / "caches",
    )
    if not found.server.exists():
        raise TritonError(f"{package} holds no Triton server: install nvidia-pytriton again")
    if not found.stub.exists():
        raise TritonError(f"the Triton server has no stub for Python {_VERSION}; use Python 3.11 to 3.13")
    _require_libpython(found)
    return found


def _require_libpython(installation: Installation) -> None:
    """The stub is linked against the interpreter's shared library; without it no model would load."""
    name = f"libpython{_VERSION}.so.1.0"
    brought = any(installation.libraries.glob(f"libpython{_VERSION}*"))
    beside = any((folder / name).exists() for folder in _library_folders())
    if brought or beside or ctypes.util.find_library(f"python{_VERSION}"):
        return
    raise TritonError(
        f"Triton's Python backend needs {name}, which this Python does not bring: "
        f"install the package libpython{_VERSION} (Debian, Ubuntu) or python{_VERSION}-libs (Fedora), "
        "or use a Python built with --enable-shared"
    )


def _library_folders() -> list[Path]:
    """Folders that may hold the interpreter's shared library; a relocated build knows only its old LIBDIR."""
    return [Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"), Path(sys.base_prefix) / "lib"]


def assemble_backends(installation: Installation, folder: Path) -> None:
    """Lay out a backend directory: Triton's Python backend with the right stub, and our `onnxruntime` on it."""
    # Copies: Triton refuses libraries that lie outside of the directory, links included.
    python = folder / "python"
    shutil.copytree(installation.python_backend, python)
    shutil.copy(installation.stub, python / _STUB)
    shutil.copytree(_OUR_BACKENDS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def environment(installation: Installation) -> dict[str, str]:
    """Environment of the server: its libraries, and the packages of the running interpreter for its models."""
    libraries = [installation.libraries, *_library_folders(), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        "ORT_DISABLE_TELEMETRY": "1",  # unless told otherwise, ONNX Runtime reports to its maker over the internet
        **os.environ,
        "LD_LIBRARY_PATH": ":".join(filter(None, map(str, libraries))),
        # The stub embeds an isolated interpreter: it ignores PYTHONPATH, but takes the packages of the `python3`
        # that it finds first, virtual environment or not.
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
