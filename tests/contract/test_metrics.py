"""Every metric of the code is documented for operators and known to the tests, and every documented one exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.metric_lint import GAUGES

from portrait.server.rollout import gateway_status

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "portrait" / "server"
INGEST = ROOT / "clients" / "portrait" / "client" / "ingest"
FACTORIES = {"Counter", "CounterMetricFamily", "Gauge", "GaugeMetricFamily", "Histogram"}
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))
NAMED = set(re.findall(r"portrait_\w+", PAGES))
NOT_METRICS = {"portrait_minus_this"}
"""Words of the docs that only look like metrics: a score of the benchmarks."""


def declared() -> Iterator[tuple[str, str]]:
    """The factory and the name of every metric of the server's code."""
    for path in (*sorted(SERVER.rglob("*.py")), *sorted(INGEST.rglob("*.py"))):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in FACTORIES:
                if not call.args:
                    continue  # `collections.Counter()`
                match call.args[0]:
                    case ast.Constant(value=str(name)):
                        yield call.func.id, name
                    case ast.Name(id=constant) if isinstance(getattr(gateway_status, constant, None), str):
                        yield call.func.id, str(getattr(gateway_status, constant))
                    case _ if call.func.id != "Counter":
                        raise AssertionError(f"{path}:{call.lineno}: write the name of the metric out")


METRICS = dict.fromkeys(declared())
SHOWN = {f"{name}_total" if factory.startswith("Counter") else name for factory, name in METRICS}
"""Names of metrics as Prometheus shows them."""


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_every_metric_is_in_the_docs_for_operators(name: str) -> None:
    assert name in NAMED, f"docs/operations does not name {name}: add a row to a table of metrics"


@pytest.mark.parametrize("name", sorted(name for factory, name in METRICS if factory.startswith("Gauge")))
def test_every_gauge_is_listed(name: str) -> None:
    assert name in GAUGES, f"add {name} to GAUGES in tests/support/metric_lint.py, or make it a counter"


def test_the_docs_name_no_metric_that_does_not_exist() -> None:
    named = set(re.findall(r"`(?:\w+\()?(portrait_[a-z_]*[a-z])(?=[`{(\[ )])", PAGES))
    assert named - SHOWN - NOT_METRICS == set()


def test_names_follow_the_conventions_of_prometheus() -> None:
    for factory, name in METRICS:
        assert name.startswith("portrait_"), name
        assert not name.endswith(("_total", "_count", "_sum", "_bucket")), f"{name}: Prometheus adds this suffix"
        if factory == "Histogram":
            assert name.endswith("_seconds"), name


def test_every_collector_is_registered() -> None:
    sources = [path.read_text(encoding="utf-8") for path in SERVER.rglob("*.py")]
    collectors = {name for source in sources for name in re.findall(r"class (\w+)\(Collector\)", source)}
    registered = {name for source in sources for name in re.findall(r"\.register\((\w+)\(", source)}
    assert collectors - registered - {"_Guarded"} == set(), "register it, and call that in portrait.server.shop"
