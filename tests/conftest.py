"""Settings and fixtures of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

# `portrait serve` would start its program anew without them, and a test that calls it in this process is that program.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Workers share the cores anyway: with threads of its own beside them, PyTorch waits for a third of its time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command `portrait` does
# ONNX Runtime would report every test run to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Raw channels and readers of metrics in tests would ask them; tests of proxies set their own.
for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
    for spelling in (name, name.upper()):
        os.environ.pop(spelling, None)

# No test depends on the clock: the first example of a test may pay for imports and shared fixtures, and a busy machine
# takes longer to draw examples than Hypothesis likes.
settings.register_profile("portrait", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("portrait"), max_examples=20)  # of `make check`
settings.load_profile("portrait")

REPOSITORY = Path(__file__).parents[1]

_LONGEST_FIRST = (
    "integration/test_tour.py", "contract/test_package.py", "integration/export", "integration/training",
    "integration/gateway", "integration", "contract/test_hostile_logs.py", "contract", "unit",
)  # fmt: skip
"""Order of folders and files of tests. A long file that starts last would keep one worker busy while others wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep the order of the files; it would start those with most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores: tests of gateways wait for a good part of their time."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what takes longest first."""
    items.sort(key=lambda item: _place(item.path.relative_to(REPOSITORY / "tests").as_posix()))


def _place(path: str) -> int:
    return next(place for place, begin in enumerate((*_LONGEST_FIRST, "")) if path.startswith(begin))


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
