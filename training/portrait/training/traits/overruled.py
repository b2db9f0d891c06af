"""Shoppers of whom people overruled a trait: what the log says of them is no label, and a correction is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.traits.declarations import Trait
from portrait.training.traits.samples import Samples


@dataclass(frozen=True)
class Overruled:
    """The shoppers of whom one trait was overruled."""

    shopper: NDArray[np.int64]
    """`[shoppers]`: rows of the corpus' shoppers, ascending."""
    reviewed_at: NDArray[np.float64]
    """`[shoppers]`: seconds since 1970."""
    corrected: NDArray[np.float32]
    """`[shoppers]`: the probability that a person stated; NaN if the trait was blocked or pinned."""

    def leave_out(self, samples: Samples) -> Samples:
        """Return the samples of all other shoppers."""
        return samples.take(~np.isin(samples.shopper, self.shopper))

    def correct(self, samples: Samples, trait: Trait) -> tuple[Samples, NDArray[np.float32]]:
        """Leave out the shoppers, except where a correction is the label.

        It is from the moment on whose horizon contains the review, and at no earlier one: it is then no later than what
        the log says of the sample, so nothing of a later part of the log reaches training through it.

        Returns:
            the samples, and `[samples]` the probabilities that people stated, NaN where the label is that of the log.
        """
        place = np.minimum(np.searchsorted(self.shopper, samples.shopper), len(self.shopper) - 1)
        is_overruled = self.shopper[place] == samples.shopper
        until = samples.as_of + trait.horizon_days * SECONDS_PER_DAY
        holds = is_overruled & (self.reviewed_at[place] <= until)
        corrected = np.where(holds, self.corrected[place], np.float32("nan"))
        kept = ~is_overruled | ~np.isnan(corrected)
        return samples.take(kept), corrected[kept]
