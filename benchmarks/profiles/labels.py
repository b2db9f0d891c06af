"""AUC of labels for the shoppers who come to their categories next, by words and by a few example shoppers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.profiles.themes import TEMPLATES, THEMES, belongs_to
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.dataset.corpus import NO_ITEM
from portrait.training.encoders.model import TextCache
from portrait.training.encoders.retrieval import embed_texts, encode_targets
from portrait.training.metrics import auc
from portrait.training.population import statistics as population
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

HORIZON_DAYS = 90.0
EXAMPLES = 16
_DRAWS = 20


def measure(trained: TrainedRun) -> dict[str, Any]:
    """Measure the AUC of each theme within the horizon, over all shoppers and over those new to the theme.

    The template is chosen on the validation targets, from which the example shoppers come too; figures are of the test.
    """
    shoppers = population.estimate_profile_distribution(trained)
    validation, test = (
        _TargetShoppers(trained, targets) for targets in (trained.holdout.validation, trained.holdout.test)
    )
    words = {template: _encode_labels(trained, [template.format(theme) for theme in THEMES]) for template in TEMPLATES}
    on_validation = {
        template: float(
            np.nanmean([validation.auc(theme, row, shoppers) for theme, row in zip(THEMES, rows, strict=True)])
        )
        for template, rows in words.items()
    }
    chosen = max(TEMPLATES, key=lambda template: on_validation[template])
    random = np.random.default_rng(trained.settings.seed)
    rows = {}
    for theme, vector in zip(THEMES, words[chosen], strict=True):
        rows[theme] = {
            "buyers": int(test.buys(theme).sum()),
            "shoppers": len(test.profiles),
            "words": test.auc(theme, vector, shoppers),
            "words_newcomers": test.auc(theme, vector, shoppers, newcomers=True),
            "examples": _measure_examples(theme, validation, test, shoppers, random),
            "share_of_history": auc(test.shares(theme), test.buys(theme), np.ones(len(test.profiles))),
        }
    return {"templates_on_validation": on_validation, "template": chosen, "themes": rows}


def _measure_examples(
    theme: str,
    validation: "_TargetShoppers",
    test: "_TargetShoppers",
    shoppers: ProfileDistribution,
    random: np.random.Generator,
) -> float:
    """Return the mean AUC over draws of example shoppers, left out; the label is their mean minus that of all."""
    buyers = np.flatnonzero(validation.buys(theme))
    values = []
    for _ in range(_DRAWS):
        examples = random.choice(buyers, min(EXAMPLES, len(buyers)), replace=False)
        vector = validation.profiles[examples].mean(0) - shoppers.mean
        others = ~np.isin(test.shopper, validation.shopper[examples])
        values.append(test.auc(theme, vector, shoppers, among=others))
    return float(np.nanmean(values))


class _TargetShoppers:
    """Shoppers at the time of some targets: profiles, earlier events and later events."""

    def __init__(self, trained: TrainedRun, targets: NDArray[np.int64]) -> None:
        vectors = encode_targets(trained.model, trained.cache, trained.corpus, targets, trained.index.vectors)
        self.profiles, self._targets, self._corpus = vectors.profiles, vectors.targets, trained.corpus
        self.shopper = trained.corpus.event_shopper[vectors.targets]

    def buys(self, theme: str) -> NDArray[np.bool_]:
        """Return `[targets]`: whether the shopper comes to the theme within the horizon."""
        corpus, of_theme = self._corpus, self._of_theme(theme)
        end = np.append(corpus.starts[1:], 0)[self.shopper]
        return np.array(
            [
                (of_theme[target:last] & self._soon(target, last)).any()
                for target, last in zip(self._targets.tolist(), end.tolist(), strict=True)
            ]
        )

    def _soon(self, target: int, last: int) -> NDArray[np.bool_]:
        time = self._corpus.columns.time
        return time[target:last] <= time[target] + HORIZON_DAYS * SECONDS_PER_DAY

    def shares(self, theme: str) -> NDArray[np.float64]:
        """Return `[targets]`: the share of the theme in the history."""
        of_theme, corpus = np.append(0, np.cumsum(self._of_theme(theme))), self._corpus
        begin, end = corpus.shopper_start[self._targets], corpus.context_end[self._targets]
        return (of_theme[end] - of_theme[begin]) / np.maximum(1, end - begin)

    def auc(
        self,
        theme: str,
        vector: NDArray[np.float32],
        shoppers: ProfileDistribution,
        *,
        newcomers: bool = False,
        among: NDArray[np.bool_] | None = None,
    ) -> float:
        """Return the AUC of the served score, over all shoppers or over those new to the theme."""
        deviation = float(vector @ shoppers.covariance @ vector) ** 0.5
        scores = ((self.profiles - shoppers.mean) @ vector / deviation).astype(np.float64)
        kept = np.ones(len(scores), dtype=bool) if among is None else among
        if newcomers:
            kept = kept & (self.shares(theme) == 0.0)
        return auc(scores[kept], self.buys(theme)[kept], np.ones(int(kept.sum())))

    def _of_theme(self, theme: str) -> NDArray[np.bool_]:
        items = np.array([belongs_to(theme, item.title) for item in self._corpus.items])
        row = self._corpus.event_item
        return np.where(row == NO_ITEM, False, items[row])


@torch.no_grad()
def _encode_labels(trained: TrainedRun, texts: list[str]) -> NDArray[np.float32]:
    tokenizer = TextTokenizer.load(trained.folder / runs.TOKENIZER_FILE)
    cache = TextCache(trained.model.text, tokenizer, texts)
    cache.recompute()
    vectors: NDArray[np.float32] = embed_texts(trained.model, cache).numpy()
    return vectors
