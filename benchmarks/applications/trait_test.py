"""The test of a trait: the shoppers at its last time, their labels, and the predictions of RFM."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from docs.examples.applications import shop
from portrait.client import Event
from portrait.training.run.run import TrainedRun
from portrait.training.traits import declarations, head_selection, samples
from portrait.training.traits.cutoffs import place_cutoffs
from portrait.training.traits.head_selection import LabelledInputs
from portrait.training.traits.labels import open_labeller
from portrait.training.traits.samples import Samples


@dataclass(frozen=True)
class TraitTest:
    """Shoppers at the latest time of a trait's test."""

    as_of: datetime
    horizon_days: int
    shoppers: list[str]
    row: NDArray[np.int64]
    """`[shoppers]`: rows of the corpus' shoppers."""
    histories: dict[str, list[Event]]
    """By shopper: events up to `as_of`."""
    label: NDArray[np.bool_]
    """`[shoppers]`: the label after `as_of`."""
    rfm: NDArray[np.float64]
    """`[shoppers]`: probability by a logistic regression on recency, frequency and monetary value."""


def draw_latest(trained: TrainedRun, file: Path, name: str, complete_until: datetime) -> TraitTest:
    """Draw the shoppers at the latest time of the test of a declared trait.

    Args:
        trained: a run that has learnt the trait.
        file: the declarations.
        name: of the trait.
        complete_until: as `portrait train-traits` was told.
    """
    declared = declarations.read_declarations(file)
    trait = next(each for each in declared.traits if each.name == name)
    time, data = trained.corpus.columns.time, Path(trained.data["path"])
    moments = place_cutoffs(
        float(time.min()),
        float(time[trained.holdout.train].max()),
        complete_until.timestamp(),
        trait.horizon_days,
        trait.window_days,
    )
    with open_labeller(data, trained.corpus.shopper_ids, declared) as labels:
        train, validation, test = (
            samples.draw_samples(labels, trait, chosen)
            for chosen in (moments.train, moments.validation, moments.test[-1:])
        )
    rfm = head_selection.fit_rfm_baseline(
        _make_part(trained, train), _make_part(trained, validation), trained.settings.seed
    )
    as_of = datetime.fromtimestamp(float(moments.test[-1]), UTC)
    shoppers = [trained.corpus.shopper_ids[row] for row in test.shopper.tolist()]
    histories = shop.read_histories(data, shoppers)
    return TraitTest(
        as_of,
        trait.horizon_days,
        shoppers,
        test.shopper,
        {each: shop.select_until(histories[each], as_of) for each in shoppers},
        test.label,
        head_selection.predict_probabilities(rfm.head, _make_part(trained, test).known),
    )


def _make_part(trained: TrainedRun, drawn: Samples) -> LabelledInputs:
    known = samples.compute_head_inputs(trained.model, trained.cache, trained.corpus, drawn.shopper, drawn.as_of)
    return LabelledInputs(known, drawn.label)
