"""The benchmark of the adaptation: new items are in no pair, and each way is compared with the base model."""

from pathlib import Path

import numpy as np
from support import tiny_data

from benchmarks.adaptation import cli
from portrait.training.encoders.text_pairs import TextPairs
from portrait.training.enums import Preset
from portrait.training.settings import TrainSettings


def test_pairs_with_dropped_texts_are_dropped() -> None:
    pairs = TextPairs(list("abcd"), np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.5, 0.25, 0.25]))
    kept = cli.drop_texts(pairs, np.array([3]))
    assert (kept.anchor.tolist(), kept.positive.tolist()) == ([0, 1], [1, 2])
    np.testing.assert_allclose(kept.probability, [2 / 3, 1 / 3])


def test_each_share_of_the_way_is_compared_with_the_base_model(tmp_path: Path) -> None:
    data = tiny_data.write(tmp_path / "data")
    bert = tiny_data.write_bert(tmp_path / "bert")
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(bert), dimension=16, adaptation_steps=10, bert_learning_rate=1e-3
    )
    measured = cli.measure(data, settings)
    assert list(measured["ways"]) == ["0.25", "0.5", "1"]
    assert measured["ways"]["1"]["known items"]["minus_base"] > 0.0
    content = {"circumstances": dict.fromkeys(("command", "date", "machine", "commit"), "x")}
    report = cli.format_report(content | {"steps": 10, "pairs": 128, "sets": [measured]})
    assert len(report.splitlines()) == 10
