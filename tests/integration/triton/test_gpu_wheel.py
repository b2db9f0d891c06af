"""The backend with the real `onnxruntime-gpu`, on a machine that has neither CUDA nor a GPU.

The wheel lists CUDA as available wherever it is installed, and runs a session on the CPU where there is none.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import tiny_release

from portrait.server.triton import installation
from portrait.server.triton.configuration import load_options

_WHEEL = "onnxruntime-gpu==1.31.1"
_FOLDER = "PORTRAIT_TEST_ONNXRUNTIME_GPU"
_DOWNLOAD_SECONDS = 300
_BACKEND = Path(installation.__file__).parent / "backends" / "onnxruntime" / "model.py"
_PROGRAM = """
import json, runpy, sys, types
wheel, backend, folder, config, kind = sys.argv[1:]
sys.path.insert(0, wheel)
import onnxruntime
assert onnxruntime.__file__.startswith(wheel)
sys.modules["triton_python_backend_utils"] = types.SimpleNamespace(TritonModelException=RuntimeError)
print(onnxruntime.get_available_providers())
model = runpy.run_path(backend)["TritonPythonModel"]()
told = {"model_config": config, "model_repository": folder, "model_version": "1"}
try:
    model.initialize(told | {"model_instance_kind": kind, "model_instance_device_id": "0"})
except RuntimeError as refused:
    print("refused:", refused)
else:
    print("loaded")
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    """Folder of the wheel: as the environment says, else downloaded once (260 MB) into the user's cache."""
    if told := os.environ.get(_FOLDER):
        return Path(told)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portrait"
    folder = cache / f"{_WHEEL}-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
            command += ["--no-cache-dir", "--target", f"{unfinished}/site", _WHEEL]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=_DOWNLOAD_SECONDS)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"{_WHEEL} can't be had ({error}); pip install it with --target and name that in {_FOLDER}")
            Path(unfinished, "site").rename(folder)
    return folder


def _initialised(wheel: Path, folder: Path, kind: str) -> list[str]:
    """Log lines of an instance of the tiny ranker while it starts, in a process of its own."""
    tiny_release.build(folder)
    config = load_options(folder, "ranker", [1])
    arguments = map(str, (wheel, _BACKEND, folder / "ranker", config, kind))
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    # No GPU, should this machine have one.
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=hidden, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_gpu_instance_that_would_run_on_the_cpu_is_refused(wheel: Path, tmp_path: Path) -> None:
    available, *_, told = _initialised(wheel, tmp_path, "GPU")
    assert "CUDAExecutionProvider" in available
    assert told.startswith("refused: ")
    assert "can't run on GPU 0: onnxruntime 1.31.1 " in told
    assert "needs CUDA and cuDNN (lib" in told or "finds no GPU" in told


def test_a_cpu_instance_runs_with_that_wheel_too(wheel: Path, tmp_path: Path) -> None:
    assert _initialised(wheel, tmp_path, "CPU")[-1] == "loaded"
