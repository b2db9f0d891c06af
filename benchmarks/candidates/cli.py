"""Loss by the sources of candidates: `python -m benchmarks candidates RUN`.

For some test targets, the ranker of a run ranks the candidates that serving would give it, and then every item of the
catalogue. Of the targets among the first ten of the whole catalogue, the sources are to keep 90%. Returns 0 if they do,
else 1.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.ranking.candidate_ranks import find_candidate_ranks
from portrait.training.baselines.comparison import draw_targets
from portrait.training.encoders.retrieval import TargetVectors, embed_texts, encode_targets, find_masked_items
from portrait.training.metrics import MISSED, bootstrap_interval, hit_rate, ndcg
from portrait.training.ranker.candidates import CandidateBuilder
from portrait.training.ranker.ranking import run_ranker
from portrait.training.run.evaluation import make_candidate_builder
from portrait.training.run.run import TrainedRun, load_run

CUTOFFS, WANTED_SHARE = (10, 50), 0.9
_MAX_CANDIDATES = 500_000
"""Candidates that are in memory at a time."""


class WholeCatalogue(CandidateBuilder):
    """Gives the ranker every item that may be shown at all."""

    def find_sources(self, target: int, *_: Any) -> dict[str, NDArray[np.int64]]:
        """All items but the masked ones, as if one source had found them."""
        items = np.arange(len(self.corpus.items))
        masked = find_masked_items(self.corpus, target) if self.holdout.mask_seen else items[:0]
        return {"profile": np.setdiff1d(items, masked)}


def rank_by(
    kind: type[CandidateBuilder], trained: TrainedRun, vectors: TargetVectors, texts: Tensor
) -> NDArray[np.int64]:
    """`[targets]`: 0-based rank of each target among the candidates of a builder, `MISSED` without a place.

    Args:
        kind: class of the builder.
        trained: the run.
        vectors: vectors of the targets' profiles and of the items.
        texts: `[texts, dimension]`, embeddings of the corpus' texts.
    """
    corpus = trained.corpus
    builder = make_candidate_builder(trained, corpus, kind)
    ranks = np.full(len(vectors.targets), MISSED)
    # In the order of time: the popularity of late moves forward.
    order = np.argsort(corpus.columns.time[vectors.targets], kind="stable")
    for rows in np.array_split(order, max(1, len(order) * len(corpus.items) // _MAX_CANDIDATES)):
        part = TargetVectors(vectors.items, vectors.profiles[rows], vectors.targets[rows])
        chosen = builder.build(part, texts.numpy(), np.random.default_rng(trained.settings.seed))
        with torch.no_grad():
            scores = run_ranker(trained.ranker, part, chosen, texts, np.arange(len(rows)))[0].numpy()
        ranks[rows] = find_candidate_ranks(scores, chosen)
    return ranks


def main(arguments: list[str]) -> int:
    """Measure; return 0 if the sources keep enough, else 1."""
    parser = make_parser("candidates", __doc__)
    parser.add_argument("run", type=existing_folder, help="folder of a run that has ended")
    parser.add_argument("--targets", type=int, default=1_000, help="test targets that are drawn (%(default)s)")
    chosen = parser.parse_args(arguments)
    trained = load_run(chosen.run)
    targets = draw_targets(trained.holdout.test, chosen.targets, trained.settings.seed)
    vectors = encode_targets(trained.model, trained.cache, trained.corpus, targets, trained.index.vectors)
    texts = embed_texts(trained.model, trained.cache)
    served, whole = (rank_by(kind, trained, vectors, texts) for kind in (CandidateBuilder, WholeCatalogue))
    kept = []
    for cutoff in CUTOFFS:
        of_served, of_whole = hit_rate(served, cutoff), hit_rate(whole, cutoff)
        kept.append(float((of_served * of_whole).sum() / max(1.0, of_whole.sum())))
        low, high = bootstrap_interval(ndcg(served, cutoff) - ndcg(whole, cutoff))
        print(
            f"first {cutoff}: HR {of_served.mean():.4f} of the candidates, {of_whole.mean():.4f} of the whole "
            f"catalogue, {kept[-1]:.1%} of whose hits are kept; NDCG {ndcg(served, cutoff).mean():.4f} and "
            f"{ndcg(whole, cutoff).mean():.4f}, paired difference {low:+.4f} to {high:+.4f}"
        )
    return 0 if kept[0] >= WANTED_SHARE else 1
