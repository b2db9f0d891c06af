"""Where the Triton server of the wheel `nvidia-pytriton` lies, and what it needs around it."""

import ctypes.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class TritonError(Exception):
    """Triton can't be started or can't load a model; the message says what to install or where to look."""


@dataclass(frozen=True)
class Installation:
    """The parts of the wheel that are used."""

    server: Path
    """The `tritonserver` binary."""
    python_backend: Path
    """Folder of Triton's Python backend."""
    stub: Path
    """The process that runs a Python model, for the running version of Python."""
    libraries: Path
    """Folder of the shared libraries that the wheel brings."""
    caches: Path

    @property
    def version(self) -> str:
        """Triton's own version, as the wheel's metadata does not say it."""
        return "2.51.0"


def find() -> Installation:
    """Find the installed server.

    Raises:
        TritonError: it, its stub or the interpreter's shared library is missing.
    """
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise TritonError("no Triton server is installed: pip install 'portrait[triton]', or give --triton-url")
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = root / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise TritonError(f"the Triton server has no stub for Python {version}; use Python 3.11 to 3.13")
    _require_libpython(version)
    return Installation(
        server=root / "bin" / "tritonserver",
        python_backend=root / "backends" / "python",
        stub=stub,
        libraries=package.parent / "nvidia_pytriton.libs",
        caches=root / "caches",
    )


def _require_libpython(version: str) -> None:
    """The stub is linked against the interpreter's shared library; only 3.13's comes with the wheel."""
    if version == "3.13":
        return
    name = f"libpython{version}.so.1.0"
    if (_library_folder() / name).exists() or ctypes.util.find_library(f"python{version}"):
        return
    raise TritonError(
        f"Triton's Python backend needs {name}, which this Python does not bring: "
        f"install the package libpython{version} (Debian, Ubuntu) or python{version}-libs (Fedora), "
        "or use a Python built with --enable-shared"
    )


def _library_folder() -> Path:
    return Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")


def assemble_backends(installation: Installation, folder: Path) -> None:
    """Lay out the backend directory: Triton's Python backend with the right stub, and our `onnxruntime` on it."""
    python = folder / "python"
    python.mkdir(parents=True)
    # Copies: Triton refuses libraries that lie outside of the directory, links included.
    for part in (*installation.python_backend.iterdir(), installation.stub):
        if part.is_file():
            shutil.copy(part, python / part.name)
    ours = folder / "onnxruntime"
    ours.mkdir()
    shutil.copy(Path(__file__).parent / "backends" / "onnxruntime" / "model.py", ours / "model.py")


def environment(installation: Installation) -> dict[str, str]:
    """Environment of the server: its libraries, and the packages of the running interpreter for its models."""
    libraries = [str(installation.libraries), str(_library_folder()), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        # The stub embeds an isolated interpreter: it ignores PYTHONPATH, but takes the packages of the `python3`
        # that it finds first, virtual environment or not.
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
