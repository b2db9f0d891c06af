"""Consecutive windows of a log, each the last tenth of what is left when the later ones are cut off."""

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common.data_sets import write_with_events
from portrait.training.dataset import readers
from portrait.training.dataset.data_set import REPORT_FILE
from portrait.training.dataset.splits import TIME_TRAIN_SHARE, TIME_VALIDATION_SHARE


def cut_windows(data: Path, out: Path, windows: int) -> list[Path]:
    """Write a data set for each window: the log until the window's end, and the whole catalogue.

    Training with `--split time` on one of them tests on the window. No event is in two windows, and no model learns
    from its own window or a later one.

    Args:
        data: a prepared data set whose events have times.
        out: folder for the data sets; what stands there already is kept.
        windows: how many.

    Returns:
        The data sets, the latest window first; each is named for the share of events that it ends at.
    """
    events = readers.read_parquet(data / "events.parquet").sort("time")
    folders, whole = [], len(events)
    for _ in range(windows):
        folders.append(out / f"until-{len(events) / whole:.2f}")
        if not (folders[-1] / REPORT_FILE).exists():
            write_with_events(data, folders[-1], events)
        first_test = np.quantile(
            events["time"].dt.epoch("us").to_numpy() / 1e6, TIME_TRAIN_SHARE + TIME_VALIDATION_SHARE
        )
        events = events.filter(pl.col("time").dt.epoch("us") / 1e6 < first_test)
    return folders
