"""The time for which calls wait for the state file."""

from prometheus_client import Histogram

STORE_DURATION = Histogram(
    "portrait_store_duration_seconds",
    "Time that reads and writes of the state file took, with their wait for others.",
    ["operation"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=None,
)
"""Durations of this process, which has one store."""
READ_DURATION, WRITE_DURATION = (STORE_DURATION.labels(operation) for operation in ("read", "write"))
DATABASE = {"db.system.name": "sqlite"}
"""Attributes of the spans of reads and writes."""
