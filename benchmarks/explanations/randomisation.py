"""Model randomisation: a trained run whose weights are shuffled.

Adebayo et al. 2018 ("Sanity Checks for Saliency Maps", NeurIPS, section 3) randomise a model part by part from its
output down. Shuffling the entries of each tensor keeps their distribution, so that what differs is what was learnt.
"""

import copy
import dataclasses
from enum import IntEnum

import numpy as np
import torch
from torch import nn

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.relations import Relations
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.encoders.model import TextCache
from portrait.training.ranker import item_index as indexes
from portrait.training.run.run import TOKENIZER_FILE, TrainedRun


class Depth(IntEnum):
    """Depth, from the output down, to which weights are shuffled."""

    RANKER = 1
    PROFILE = 2
    """The profile encoder as well."""
    ALL = 3
    """And the text encoder, the items' residuals and the relations."""

    @property
    def words(self) -> str:
        """Description for tables."""
        return {Depth.RANKER: "ranker", Depth.PROFILE: "and profile encoder", Depth.ALL: "everything"}[self]


def randomise_run(trained: TrainedRun, depth: Depth, seed: int = 0) -> TrainedRun:
    """Return the run with shuffled weights and without traits.

    Args:
        trained: stays as it is.
        depth: how far down.
        seed: of the shuffling.
    """
    generator = torch.Generator().manual_seed(seed)
    model, ranker = copy.deepcopy(trained.model), copy.deepcopy(trained.ranker)
    shuffle_weights(ranker, generator)
    if depth >= Depth.PROFILE:
        shuffle_weights(model.profile, generator)
    if depth < Depth.ALL:
        return dataclasses.replace(trained, model=model, ranker=ranker, traits=None)
    shuffle_weights(model.text, generator)
    shuffle_weights(model.residual, generator)
    cache = TextCache(model.text, TextTokenizer.load(trained.folder / TOKENIZER_FILE), trained.corpus.texts)
    cache.recompute()
    return dataclasses.replace(
        trained,
        model=model,
        ranker=ranker,
        relations=shuffle_relations(trained.relations, seed),
        cache=cache,
        index=indexes.build_item_index(
            model, cache, trained.corpus, trained.holdout.item_counts, trained.index.statistics
        ),
        traits=None,
    )


@torch.no_grad()
def shuffle_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Shuffle the entries of each weight in place."""
    for weight in module.parameters():
        entries = weight.flatten()
        weight.copy_(entries[torch.randperm(len(entries), generator=generator)].view_as(weight))


def shuffle_relations(relations: Relations, seed: int) -> Relations:
    """Shuffle relations: each item keeps the number of its weights, but their items are random."""
    random = np.random.default_rng(seed)
    return Relations({name: _shuffle_matrix(matrix, random) for name, matrix in relations.by_name.items()})


def _shuffle_matrix(linked: Associations, random: np.random.Generator) -> Associations:
    items = random.permutation(linked.items)
    return dataclasses.replace(linked, items=items, weights=random.permutation(linked.weights))
