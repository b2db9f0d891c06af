"""The trend of each series that was sampled, and what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.samples import RESTARTED, STATE, STORED, Sample
from benchmarks.soak.slopes import Trend, Verdict, measure_trend

WARM_UP = 0.2
"""Share of the run that is not judged: of all processes at its beginning, of what a kill ends after the last one."""


@dataclass(frozen=True)
class SeriesTrend:
    """The trend of a series after its warm-up."""

    name: str
    seconds: float
    """Time that was judged."""
    trend: Trend
    allowed: float
    """Growth by the hour that is expected."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on it."""
        return self.trend.judge(self.allowed)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "name": self.name,
            "seconds": round(self.seconds),
            **{name: round(getattr(self.trend, name), 2) for name in ("level", "slope", "low", "high")},
            "allowed": round(self.allowed, 2),
            "verdict": self.verdict.value,
            "points": self.trend.points,
        }


def measure_series(
    samples: Sequence[Sample], began: float, seconds: float, kills: Sequence[float], block_seconds: float
) -> list[SeriesTrend]:
    """Measure the trend of each series.

    The state file may grow by the rows that nothing deletes, no faster than their own interval says.

    Args:
        samples: of the whole run, with series that all but the last kills' processes have throughout.
        began: beginning of the run, by the clock of the samples.
        seconds: its length.
        kills: times of all kills.
        block_seconds: length of a block, see `measure_trend`.
    """
    warm = began + WARM_UP * seconds
    warm_again = max([warm, *(kill + WARM_UP * seconds for kill in kills)])
    found = {}
    for name in sorted({name for sample in samples for name in sample.values}):
        begin = warm_again if name.startswith(RESTARTED) else warm
        judged = [
            (sample.time, sample.values[name]) for sample in samples if sample.time >= begin and name in sample.values
        ]
        found[name] = began + seconds - begin, measure_trend(*_unzip(judged), block_seconds)
    stored = found.pop(STORED)[1]
    return [
        SeriesTrend(name, judged_for, trend, max(0.0, stored.high) if name == STATE else 0.0)
        for name, (judged_for, trend) in found.items()
    ]


def _unzip(pairs: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    times, values = [], []
    for time, value in pairs:
        times.append(time)
        values.append(value)
    return times, values
