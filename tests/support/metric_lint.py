"""Prometheus's own linter of metrics."""

import shutil
import subprocess

import pytest

GAUGES = {
    "portrait_admission_limit_units",
    "portrait_admission_running_units",
    "portrait_response_cache_bytes",
    "portrait_catalogue_unindexed_items",
    "portrait_catalogue_items",
    "portrait_file_invalid",
    "portrait_ingest_lag_messages",
    "portrait_processes",
    "portrait_release",
    "portrait_release_canary",
    "portrait_release_canary_percent",
    "portrait_release_loaded",
    "portrait_release_refused",
    "portrait_release_delayed",
    "portrait_build_info",
    "portrait_state_bytes",
    "portrait_state_disk_free_bytes",
    "portrait_tls_certificate_expiry_timestamp_seconds",
    "portrait_audience_table_oldest_timestamp_seconds",
    "portrait_audience_table_shoppers",
    "portrait_text_cache_bytes",
    "portrait_traffic_file_invalid",
    "portrait_triton_up",
    "portrait_model_pending_rows",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}
"""Metrics that may go down. All others only grow, and are counters or histograms."""


def list_gauges(text: str) -> set[str]:
    """Names of the gauges in a text of metrics, without the times at which counters were made."""
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ") and line.endswith(" gauge")}
    return {name for name in shown if not name.endswith("_created")}


def lint_metrics(text: str) -> str:
    """Return what `promtool check metrics` finds; empty if nothing. Skips the test where there is no promtool."""
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool: it comes with the package `prometheus`")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")
