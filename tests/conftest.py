"""Settings and fixtures of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# `portrait serve` would start its program anew without them, and a test that calls it in this process is that program.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores already: with threads of its own beside them, PyTorch waits for a third of its time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# ONNX Runtime would report every test run to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Raw channels and readers of metrics in tests would ask them; tests of proxies set their own.
for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
    for spelling in (name, name.upper()):
        os.environ.pop(spelling, None)

# No test depends on the clock: the first example of a test may pay for imports and shared fixtures.
settings.register_profile("portrait", deadline=None)
settings.load_profile("portrait")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets: `PORTRAIT_TEST_DATA`, else `shared/data` beside the repository."""
    folder = Path(os.environ.get("PORTRAIT_TEST_DATA", REPOSITORY.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}; name their folder in PORTRAIT_TEST_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def loggers_are_not_cached() -> Iterator[None]:
    """Let no test that configures the log fix the loggers of all modules for later tests of the same process."""
    with pytest.MonkeyPatch.context() as patch:
        configure = structlog.configure

        def configure_uncached(**options: object) -> None:
            configure(**options | {"cache_logger_on_first_use": False})

        patch.setattr(structlog, "configure", configure_uncached)
        yield


@pytest.fixture(autouse=True)
def log_configuration_ends_with_the_test(loggers_are_not_cached: None) -> Iterator[None]:
    """Take back what a test configured of the log."""
    yield
    structlog.reset_defaults()
