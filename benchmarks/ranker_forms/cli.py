"""The ranker's form against boosted trees: `python -m benchmarks ranker-forms RUN [RUN ...]`.

For each run, Portrait's ranker and LightGBM are fitted anew to the same moments and candidates. LightGBM reads what
Portrait's ranker reads; its settings are chosen by later moments of the training events. Then both order the same
candidates of validation and test targets. Results go to `benchmarks/results/`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import results
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.ranking.candidate_ranks import find_candidate_ranks
from benchmarks.ranker_forms.boosted_trees import FittedTrees, fit_trees
from portrait.training.baselines.comparison import draw_targets, format_difference
from portrait.training.encoders.retrieval import TargetVectors, embed_texts, encode_targets
from portrait.training.metrics import bootstrap_interval, ndcg
from portrait.training.ranker.candidates import Candidates
from portrait.training.ranker.model import Ranker
from portrait.training.ranker.ranking import fit_ranker, run_ranker
from portrait.training.ranker.relations import fit_relations
from portrait.training.run.evaluation import make_candidate_builder
from portrait.training.run.ranker_samples import collect_ranker_samples
from portrait.training.run.run import TrainedRun, load_run
from portrait.training.run.targets import choose_targets

NAME = "ranker-forms"


def main(arguments: list[str]) -> int:
    """Measure the runs, one after another; return the exit code."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("run", nargs="+", type=existing_folder, help="folders of runs that have ended, without a refit")
    parser.add_argument("--targets", type=int, default=5_000, help="targets of each part that are drawn (%(default)s)")
    options = parser.parse_args(arguments)
    circumstances = results.describe_circumstances(f"python -m benchmarks {NAME} RUN --targets {options.targets}")
    content: dict[str, Any] = {"circumstances": circumstances, "runs": []}
    for run in options.run:
        content["runs"].append(measure(run, options.targets))
        results.write_results(NAME, content, format_report(content))
    print(format_report(content))
    return 0


def measure(run: Path, count: int) -> dict[str, Any]:
    """Fit both forms to the moments of a run, and measure both on validation and test.

    Args:
        run: folder of the run.
        count: number of targets of each part that are drawn at most.
    """
    trained = load_run(run)
    settings, model = trained.settings, trained.model
    chosen = choose_targets(trained.corpus, trained.holdout, settings.seed)
    relations = fit_relations(trained.corpus, chosen.encoders, settings)
    samples = collect_ranker_samples(model, trained.cache, trained.corpus, trained.holdout, chosen, relations, settings)
    ranker = fit_ranker(samples, float(model.scale.detach()), settings.seed)
    ranker.cold_item_boost.fill_(settings.cold_item_boost)
    trees = fit_trees(samples, settings.seed)
    return {
        "data": read_source(Path(trained.data["path"])),
        "split": settings.split.value,
        "moments": len(samples.times),
        "trees": {"settings": trees.settings, "trees": trees.trees, "tried": trees.tried},
        "parts": {
            part: _compare(trained, ranker, trees, getattr(trained.holdout, part), count)
            for part in ("validation", "test")
        },
    }


def _compare(trained: TrainedRun, ranker: Ranker, trees: FittedTrees, targets: Any, count: int) -> dict[str, Any]:
    corpus, seed = trained.corpus, trained.settings.seed
    drawn = draw_targets(targets, count, seed)
    vectors = encode_targets(trained.model, trained.cache, corpus, drawn, trained.index.vectors)
    texts = embed_texts(trained.model, trained.cache)
    candidates = make_candidate_builder(trained, corpus).build(vectors, texts.numpy(), np.random.default_rng(seed))
    scores = (_score(ranker, vectors, candidates, texts), trees.score(vectors, candidates, texts))
    ours, theirs = (ndcg(find_candidate_ranks(each, candidates), 10) for each in scores)
    return {
        "targets": len(drawn),
        "portrait": float(ours.mean()),
        "trees": float(theirs.mean()),
        "difference": float((ours - theirs).mean()),
        "interval": bootstrap_interval(ours - theirs),
    }


@torch.no_grad()
def _score(ranker: Ranker, vectors: TargetVectors, candidates: Candidates, texts: torch.Tensor) -> Any:
    parts = np.array_split(np.arange(len(candidates.items)), max(1, len(candidates.items) // 256))
    return np.concatenate([run_ranker(ranker, vectors, candidates, texts, rows)[0].numpy() for rows in parts])


def format_report(content: dict[str, Any]) -> str:
    """Format a table with a row for each run and part."""
    lines = [
        "# Forms of the ranker",
        "",
        f"{results.format_origin(content['circumstances'])} NDCG@10 over the same candidates of the same targets; the "
        "encoders are those of each run. The settings of the trees were chosen by later training moments.",
        "",
        "| data, split | moments to fit | part | targets | Portrait's ranker | LightGBM | paired difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in content["runs"]:
        for part, each in run["parts"].items():
            lines.append(
                f"| {run['data']}, {run['split']} | {run['moments']:,} | {part} | {each['targets']:,} | "
                f"{each['portrait']:.4f} | {each['trees']:.4f} | {format_difference(each)} |"
            )
    return "\n".join(lines) + "\n"
