"""The verdict of a soak, on series made by hand; and the sizes that a sampler reads of a real state file."""

import math
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.soak.report import format_report
from benchmarks.soak.samples import STATE, STORED, TRITON, WAL, Sample, read_files
from benchmarks.soak.series import measure_series
from benchmarks.soak.slopes import Verdict, measure_trend
from portrait.features.events import Event, EventType
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

HOUR = 3600.0
TIMES = [10.0 * each for each in range(720)]
"""Two hours, a sample every ten seconds."""
BLOCK = 240.0


def draw_noise(spread: float = 1.0) -> list[float]:
    rng = random.Random(1)
    return [rng.gauss(0.0, spread) for _ in TIMES]


def judge(values: list[float], allowed: float = 0.0) -> Verdict:
    return measure_trend(TIMES, values, BLOCK).judge(allowed)


def test_noise_around_a_level_is_flat() -> None:
    trend = measure_trend(TIMES, [100.0 + each for each in draw_noise()], BLOCK)
    assert trend.low < 0.0 < trend.high
    assert trend.level == pytest.approx(100.0, abs=0.5)
    assert trend.judge() is Verdict.FLAT


def test_what_never_changes_is_flat() -> None:
    trend = measure_trend(TIMES, [40.0] * len(TIMES), BLOCK)
    assert (trend.slope, trend.low, trend.high) == (0.0, 0.0, 0.0)
    assert trend.judge() is Verdict.FLAT


def test_growth_is_found_within_noise_and_measured_by_the_hour() -> None:
    values = [100.0 + 5.0 * time / HOUR + each for time, each in zip(TIMES, draw_noise(), strict=True)]
    trend = measure_trend(TIMES, values, BLOCK)
    assert trend.low < 5.0 < trend.high
    assert trend.judge() is Verdict.GROWING
    assert trend.judge(allowed=5.0) is Verdict.FLAT


def test_steps_that_stay_are_growth_but_a_sawtooth_is_none() -> None:
    assert judge([100.0 + 2.0 * (time // 900) for time in TIMES]) is Verdict.GROWING
    assert judge([100.0 + 20.0 * (time % BLOCK) / BLOCK for time in TIMES]) is Verdict.FLAT


def test_what_a_run_can_not_tell_is_undecided() -> None:
    assert judge([100.0 + 60.0 * math.sin(time / 1500.0) for time in TIMES]) is Verdict.UNDECIDED
    assert measure_trend(TIMES[:60], [100.0] * 60, BLOCK).judge() is Verdict.UNDECIDED
    assert measure_trend([], [], BLOCK).judge() is Verdict.UNDECIDED


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    noise, drifting = draw_noise(), [0.0]
    for each in noise[1:]:
        drifting.append(0.98 * drifting[-1] + each)
    independent, dependent = (measure_trend(TIMES, each, BLOCK) for each in (draw_noise(), drifting))
    assert dependent.high - dependent.low > 2 * (independent.high - independent.low)


def test_warm_up_does_not_count_and_the_state_file_may_grow_by_what_is_stored() -> None:
    kill = 0.4 * 2 * HOUR
    samples = [
        Sample(
            time,
            {
                f"{TRITON}: memory": 100.0 if time > kill + 0.1 * 2 * HOUR else time,
                "supervisor: memory": min(time, 1200.0),
                STATE: 1000.0 + 400.0 * time / HOUR,
                STORED: 10.0 + 400.0 * time / HOUR,
                WAL: 1000.0 + 400.0 * time / HOUR,
            },
        )
        for time in TIMES
    ]
    found = {each.name: each for each in measure_series(samples, 0.0, 2 * HOUR, [100.0, kill], BLOCK)}
    assert STORED not in found
    assert {name: each.verdict for name, each in found.items()} == {
        f"{TRITON}: memory": Verdict.FLAT,
        "supervisor: memory": Verdict.FLAT,
        STATE: Verdict.FLAT,
        WAL: Verdict.GROWING,
    }
    assert found[f"{TRITON}: memory"].seconds == pytest.approx(0.4 * 2 * HOUR)
    assert found["supervisor: memory"].seconds == pytest.approx(0.8 * 2 * HOUR)


async def test_the_rows_of_events_are_none_that_are_kept(tmp_path: Path) -> None:
    path, now = tmp_path / "portrait.db", datetime.now(UTC)
    store = await open_store(path)
    empty = read_files(path)
    await store.record(
        [RecordedEvent(f"s{each}", Event(f"e{each}", EventType.VIEW, now, "lamp")) for each in range(500)]
    )
    full = read_files(path)
    assert full[WAL] > empty[WAL]
    assert full[STORED] == empty[STORED]
    for number in range(50):
        await store.forget(f"s{number}", now)
    assert 50 * 64 < read_files(path)[STORED] - empty[STORED] < 50 * 512
    await store.close()


def test_the_report_shows_sizes_in_mebibytes_and_counts_as_they_are() -> None:
    kept = {
        "circumstances": {"command": "soak", "date": "2026-11-30", "machine": "one", "commit": "abc"},
        "rows": [],
        "seconds": 7200,
        "samples": 720,
        "view_lifetime_seconds": 600,
        "load_average": {"median": 1.5, "highest": 3.0},
        "disturbances": {"releases swapped": 29},
        "cores_used": {"supervisor": 0.01},
        "codes": {"read": {"OK": 1_000}},
        "series": [
            {"name": name, "seconds": 5760, "level": level, "slope": 0, "low": 0, "high": 0, "allowed": 0,
             "verdict": "flat"}
            for name, level in (("supervisor: memory", 2**21), ("supervisor: threads", 5))
        ],
    }  # fmt: skip
    report = format_report(kept)
    assert "The run took 2.00 hours; 720 samples. Load average of the machine, with all else that ran: 1.5" in report
    assert "| supervisor: memory | 96 | 2.00 | 0.00 (0.00 to 0.00) | 0.00 | flat |" in report
    assert "| supervisor: threads | 96 | 5.00 |" in report
    assert "| read | OK 1,000 |" in report
