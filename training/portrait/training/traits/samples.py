"""Point-in-time samples of traits: what is known of a shopper at a moment, and what became of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.histories.statistics import STATISTICS, compute_statistics
from portrait.training.dataset.corpus import Corpus
from portrait.training.encoders import retrieval
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.traits.declarations import Trait
from portrait.training.traits.labels import Labeller


@dataclass(frozen=True)
class Samples:
    """Shoppers at moments."""

    shopper: NDArray[np.int64]
    """`[samples]`: rows of the corpus' shoppers."""
    as_of: NDArray[np.float64]
    """`[samples]`: seconds since 1970."""
    label: NDArray[np.bool_]
    """`[samples]`: what became true after the moment, up to the horizon."""

    def __len__(self) -> int:
        return len(self.label)

    def take(self, kept: NDArray[np.bool_]) -> "Samples":
        """Return the samples of a mask `[samples]`."""
        return Samples(self.shopper[kept], self.as_of[kept], self.label[kept])


def draw_samples(labeller: Labeller, trait: Trait, moments: NDArray[np.float64]) -> Samples:
    """Every shopper with a label, at each moment.

    Raises:
        DeclarationError: the label can't be evaluated.
    """
    drawn = [labeller.labels(trait, moment) for moment in moments.tolist()]
    return Samples(
        np.concatenate([labels.shoppers for labels in drawn]),
        np.repeat(moments, [len(labels.shoppers) for labels in drawn]),
        np.concatenate([labels.values for labels in drawn]),
    )


@dataclass(frozen=True)
class HeadInputs:
    """Inputs of heads."""

    profile: NDArray[np.float32]
    """`[samples, dimension]`."""
    statistics: NDArray[np.float32]
    """`[samples, len(STATISTICS)]`."""


def compute_head_inputs(
    model: PortraitModel, cache: TextCache, corpus: Corpus, shopper: NDArray[np.int64], as_of: NDArray[np.float64]
) -> HeadInputs:
    """Compute the inputs of shoppers at cutoffs, from events up to the cutoff only.

    Args:
        model: the encoders.
        cache: the corpus' texts.
        corpus: the events; all have times.
        shopper: `[samples]`: rows of shoppers; each has an event up to its moment.
        as_of: `[samples]`: seconds since 1970.
    """
    time, purchase = corpus.columns.time, corpus.columns.type_code == EVENT_TYPE_CODES[EventType.PURCHASE]
    starts = corpus.starts[shopper]
    histories = zip(starts, corpus.starts[shopper + 1], as_of, strict=True)
    ends = np.array(
        [start + np.searchsorted(time[start:end], moment, side="right") for start, end, moment in histories],
        dtype=np.int64,
    )
    features = np.zeros((len(shopper), len(STATISTICS)), dtype=np.float32)
    for row, (start, end, moment) in enumerate(zip(starts, ends, as_of.tolist(), strict=True)):
        part = slice(start, end)
        features[row] = compute_statistics(time[part], purchase[part], corpus.event_spent[part], moment)
    return HeadInputs(retrieval.encode_shoppers(model, cache, corpus, ends, as_of), features)
