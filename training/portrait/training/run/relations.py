"""Relations of a run, fitted in a thread of their own while the encoders learn: neither needs the other."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.relations import Relations
from portrait.training import distributed
from portrait.training.dataset.corpus import Corpus
from portrait.training.ranker.relations import fit_relations
from portrait.training.settings import TrainSettings


@contextmanager
def fit_relations_beside(
    corpus: Corpus, parts: Sequence[NDArray[np.int64]], settings: TrainSettings
) -> Iterator[list[Future[Relations]]]:
    """Begin to fit relations to some events, one part after the other; what has not begun at the end never does.

    Args:
        corpus: the events.
        parts: for each fit, the events to learn from, with an item each, ascending.
        settings: decays and the ridge of the linear fit.

    Returns:
        The fits, in order; none in a process that is not the main one.
    """
    with ThreadPoolExecutor(1, "relations") as executor:
        wanted = parts if distributed.is_main() else ()
        try:
            yield [executor.submit(fit_relations, corpus, events, settings) for events in wanted]
        finally:
            executor.shutdown(cancel_futures=True)
