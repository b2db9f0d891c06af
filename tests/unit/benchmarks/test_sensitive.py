"""The labelled sets of sensitive topics, and what the shipped list makes of them."""

import pytest

from benchmarks.sensitive import cli
from portrait.server.sensitivity.topic_file import read_topic_policy


@pytest.mark.parametrize("name", ["held_out", "adversarial"])
def test_what_is_held_out_was_not_chosen_on(name: str) -> None:
    held_out = [each.text for each in cli.read_texts(name)]
    chosen = {each.text for other in ("choose", "choose_adversarial") for each in cli.read_texts(other)}
    assert len({*held_out}) == len(held_out)
    assert chosen.isdisjoint(held_out)


def test_every_label_is_a_shipped_topic() -> None:
    topics = {*read_topic_policy(None).topics, "-"}
    for name in ("choose", "held_out", "choose_adversarial", "adversarial"):
        assert {each.topic for each in cli.read_texts(name)} <= topics
    assert {each.topic for each in cli.read_texts("held_out")} == topics


def test_an_interval_holds_the_share_and_narrows() -> None:
    assert cli.compute_interval(0, 0) == (0.0, 1.0)
    few, many = cli.compute_interval(9, 10), cli.compute_interval(900, 1000)
    assert few[0] < many[0] < 0.9 < many[1] < few[1] < 1.0
    assert cli.compute_interval(10, 10)[1] == pytest.approx(1.0)


def test_the_list_reaches_its_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "held out, Chinese" in capsys.readouterr().out
