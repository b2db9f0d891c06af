"""Marketing: the precision of an audience of the shoppers who will probably spend the most."""

import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications import trait_test as moments
from benchmarks.applications.tables import Figure, Table, to_figure
from docs.examples.applications import audience as example
from portrait.client import Profile
from portrait.training.run import run as runs
from portrait.training.traits import metrics


def measure(repository: Path, run: Path, traits: Path, complete_until: datetime) -> Table:
    """Measure an audience of a tenth of the shoppers at a past time against RFM, past spending and a random draw."""
    trained = runs.load_run(run)
    asked = moments.draw_latest(trained, traits, example.TRAIT, complete_until)
    with tempfile.TemporaryDirectory() as folder:
        files = ("--state", f"{folder}/portrait.db", "--audiences", f"{folder}/audiences")
        with asking.open_client(repository, *files) as portrait:
            portrait.record_events((name, event) for name, history in asked.histories.items() for event in history)
            found = asking.get_profiles(portrait, asked.histories, asked.as_of)
        _build_table(repository, asked.as_of, *files, "--triton-log", f"{folder}/triton.log")
        # Nobody in the log was asked.
        with asking.open_client(repository, *files, "--consent-advertising", "unless-withdrawn") as portrait:
            ours = set(example.find_audience(portrait, example.find_threshold(portrait)))
    ways = {
        "Portrait, `high_value`": np.array([name in ours for name in asked.shoppers]),
        "RFM, logistic regression": _choose_highest(asked.rfm, len(ours)),
        "RFM, sum of the fifths": _choose_highest(
            np.array([_sum_scores(found[name]) for name in asked.shoppers]), len(ours)
        ),
        "spent the most so far": _choose_highest(
            np.array([_total_spent(found[name]) for name in asked.shoppers]), len(ours)
        ),
    }
    rows: dict[str, list[Figure | None]] = {
        way: [
            _measure_precision(chosen, asked),
            None if way.startswith("Portrait") else _measure_difference(ways["Portrait, `high_value`"], chosen, asked),
        ]
        for way, chosen in ways.items()
    }
    rows["drawing lots"] = [Figure(float(asked.label.mean())), None]
    return Table(
        f"Marketing: an audience of high value, {trained.data['report']['source']}",
        f"Of {len(asked.shoppers):,} shoppers as of a day, an audience of {len(ours):,}: how many of it are among the "
        f"tenth that spends the most in the {asked.horizon_days} days after it. Ours is named by `FindAudience`, which "
        "`EstimateAudience` made about a tenth; the others are of the same size. Intervals are over shoppers.",
        ["precision", "Portrait minus this"],
        rows,
    )


def _build_table(repository: Path, as_of: datetime, *files: str) -> None:
    """Build the audience table of the recorded shoppers as of a time."""
    program = str(Path(sys.executable).parent / "portrait")
    moment = as_of.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    subprocess.run(
        [program, "build-audience-table", "--repository", str(repository), *files, "--as-of", moment], check=True
    )


def _sum_scores(profile: Profile) -> float:
    """Add the scores of recency, frequency and monetary value; among equal sums, higher spending comes first."""
    if (value := profile.customer_value) is None:
        return 0.0
    return value.recency_score + value.frequency_score + (value.monetary_score or 0) + _total_spent(profile) * 1e-9


def _total_spent(profile: Profile) -> float:
    return 0.0 if profile.customer_value is None else profile.customer_value.monetary or 0.0


def _choose_highest(scores: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:count]] = True
    return chosen


def _compute_precision(chosen: NDArray[np.bool_], label: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    return float((weights * (chosen & label)).sum() / (weights * chosen).sum())


def _measure_precision(chosen: NDArray[np.bool_], asked: moments.TraitTest) -> Figure:
    return to_figure(
        metrics.estimate_with_interval(lambda weights: _compute_precision(chosen, asked.label, weights), asked.row)
    )


def _measure_difference(ours: NDArray[np.bool_], others: NDArray[np.bool_], asked: moments.TraitTest) -> Figure:
    return to_figure(
        metrics.estimate_with_interval(
            lambda weights: (
                _compute_precision(ours, asked.label, weights) - _compute_precision(others, asked.label, weights)
            ),
            asked.row,
        ),
        "+.3f",
    )
