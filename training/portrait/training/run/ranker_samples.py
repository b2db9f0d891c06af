"""Samples of a run's ranker: candidates of moments that the encoders and the relations did not learn from."""

import dataclasses

import numpy as np

from portrait.features.candidates.relations import Relations
from portrait.training.dataset import position_bias
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders import retrieval
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.ranker import item_index as indexes
from portrait.training.ranker import ranking
from portrait.training.ranker.candidates import CandidateBuilder
from portrait.training.ranker.item_statistics import compute_item_statistics
from portrait.training.ranker.ranking import RankerSamples, SearchesAlone
from portrait.training.run.stages import show_stage
from portrait.training.run.targets import RunTargets
from portrait.training.settings import TrainSettings


def collect_ranker_samples(
    model: PortraitModel, cache: TextCache, corpus: Corpus, holdout: Holdout, targets: RunTargets,
    relations: Relations, settings: TrainSettings,
) -> RankerSamples:  # fmt: skip
    """Collect the samples by encoders and relations that have learnt from other events.

    Args:
        model: the encoders.
        cache: outputs of their text encoder.
        corpus: the events.
        holdout: what is held out of them.
        targets: targets of the run.
        relations: fitted to the targets of the encoders.
        settings: those of the run.
    """
    simulated_cold = ranking.choose_simulated_cold(holdout.item_counts, settings.seed)
    with show_stage("finding the ranker's candidates"):
        statistics = compute_item_statistics(corpus, targets.encoders)
        index = indexes.build_item_index(model, cache, corpus, holdout.item_counts, statistics, simulated_cold)
        vectors = retrieval.encode_targets(model, cache, corpus, targets.ranker.events, index.vectors)
        builder = CandidateBuilder(corpus, holdout, index, relations, as_of_targets=targets.encoders)
        texts = retrieval.embed_texts(model, cache)
        candidates = builder.build(vectors, texts.numpy(), np.random.default_rng(settings.seed))
        weights = position_bias.inverse_propensity_weights(corpus, holdout.train, settings)[vectors.targets]
        samples = RankerSamples(vectors, candidates, texts, weights, corpus.columns.time[vectors.targets])
        rows = samples.find_searches_with_past(samples.split()[1])
        if not len(rows):
            return samples
        alone = dataclasses.replace(corpus, searches_alone=True)
        vectors = retrieval.encode_targets(model, cache, alone, vectors.targets[rows], index.vectors)
        builder = CandidateBuilder(alone, holdout, index, relations, as_of_targets=targets.encoders)
        candidates = builder.build(vectors, texts.numpy(), np.random.default_rng(settings.seed))
        return dataclasses.replace(samples, searches_alone=SearchesAlone(rows, vectors, candidates))
