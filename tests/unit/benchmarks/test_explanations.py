"""The comparisons of the benchmark of explanations, on small explanations."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.explanations import randomisation as shuffled
from benchmarks.explanations.sanity import measure_agreement
from portrait.features.candidates.associations import Associations
from portrait.features.candidates.relations import RELATIONS, Relations
from portrait.features.events import Event, EventType, Item
from portrait.server.explanation.counterfactuals import EventEffect, RankingExplanation, WordEffect
from portrait.server.recommendation.ranking import RankedItem


def explanation(events: Sequence[float], words: Sequence[float] = ()) -> RankingExplanation:
    """One whose effects are given by event and by word, in their order."""
    told = [EventEffect(Event(str(n), EventType.VIEW, None), "", effect) for n, effect in enumerate(events)]
    return RankingExplanation(
        RankedItem(Item("lamp", "Lamp"), 1.0, 0.1, 0.1),
        sorted(told, key=lambda each: -each.effect),
        [],
        sorted([WordEffect(str(n), effect) for n, effect in enumerate(words)], key=lambda each: -each.effect),
        release=1,
        event_count=len(events),
    )


def test_alike_explanations_agree_and_turned_round_ones_disagree() -> None:
    one = explanation([4.0, 3.0, 2.0, 1.0, 0.5, 0.1], [1.0, 2.0, 3.0])
    same = measure_agreement(one, explanation([8.0, 6.0, 4.0, 2.0, 1.0, 0.2], [2.0, 4.0, 6.0]))
    assert (same.events, same.cited, same.words) == pytest.approx((1.0, 1.0, 1.0))
    turned = measure_agreement(one, explanation([0.1, 0.5, 1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 1.0]))
    assert (turned.events, turned.cited, turned.words) == pytest.approx((-1.0, 0.0, -1.0))
    assert same.by_chance == turned.by_chance == 0.5


def test_an_explanation_that_tells_no_event_from_another_agrees_with_none() -> None:
    found = measure_agreement(explanation([3.0, 2.0, 1.0]), explanation([0.0, 0.0, 0.0]))
    assert (found.events, found.words) == (0.0, None)


def test_shuffled_weights_are_the_same_in_another_order() -> None:
    module = nn.Linear(30, 20)
    before = module.weight.detach().clone()
    shuffled.shuffle_weights(module, torch.Generator().manual_seed(0))
    assert not torch.equal(module.weight, before)
    assert torch.equal(module.weight.detach().flatten().sort().values, before.flatten().sort().values)


def test_shuffled_relations_lead_each_item_to_as_many_as_before() -> None:
    linked = Associations(np.array([0, 2, 2, 5]), np.arange(5, dtype=np.int32), np.arange(5, dtype=np.float32), 0.7)
    others = shuffled.shuffle_relations(Relations(dict.fromkeys(RELATIONS, linked)), seed=1)
    assert tuple(others.by_name) == RELATIONS
    for other in others.by_name.values():
        assert np.array_equal(other.starts, linked.starts)
        assert not np.array_equal(other.items, linked.items)
        assert sorted(other.items) == sorted(linked.items)
        assert sorted(other.weights) == sorted(linked.weights)
