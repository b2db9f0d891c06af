"""Ranking quality and speed by number format of the text encoder: `python -m benchmarks precisions RUN`.

The text encoder of a run is exported in each format and reads every text of the data set through ONNX Runtime. Items,
histories and queries are made of what it says; the validation targets are ranked as `portrait evaluate` ranks, and
compared with float32 shopper by shopper. Speed is measured in the same run: the same texts, in turns.
"""

import copy
import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.common import results
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.encoders import Array, Encoder, encode_texts, open_onnxruntime_encoder, open_openvino_encoder
from benchmarks.common.ranking import tables as ranking
from portrait.export.graphs import export, graphs
from portrait.export.precision import LARGE, Precision
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.encoders.retrieval import find_ranks
from portrait.training.metrics import ndcg
from portrait.training.ranker import item_index as indexes
from portrait.training.run import evaluation
from portrait.training.run import run as runs
from portrait.training.run.run import TOKENIZER_FILE, TrainedRun

TIMED_TEXTS = 2_048
ROUNDS = 5


def rank_with_embeddings(trained: TrainedRun, embeddings: Array, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank each target with the text embeddings of an exported encoder.

    Args:
        trained: the run.
        embeddings: `[texts, dimension]`, of the corpus' texts.
        targets: events to foresee, ascending.
    """
    model, cache = copy.deepcopy(trained.model), copy.copy(trained.cache)
    # The cache holds what goes into the projection: embeddings have it behind them.
    model.text.project = nn.Identity()  # type: ignore[assignment]
    cache.pooled = torch.from_numpy(embeddings)
    index = indexes.build_item_index(
        model, cache, trained.corpus, trained.holdout.item_counts, trained.index.statistics
    )
    through = dataclasses.replace(trained, model=model, cache=cache, index=index)
    ranked = evaluation.rank_targets(through, trained.corpus, targets)
    return find_ranks(ranked.items, trained.corpus.event_item[ranked.vectors.targets])


def measure(folder: Path, threads: int) -> dict[str, Any]:
    """Measure every format of a run.

    Args:
        folder: of the run.
        threads: of each runtime.
    """
    trained = runs.load_run(folder)
    tokenizer = TextTokenizer.load(folder / TOKENIZER_FILE)
    texts, targets = trained.corpus.texts, trained.holdout.validation
    timed = [texts[row] for row in np.random.default_rng(0).choice(len(texts), min(len(texts), TIMED_TEXTS), False)]
    [graph] = [graph for graph in graphs(trained) if graph.name == LARGE]
    rows: dict[str, Any] = {}
    found: dict[Precision, tuple[Array, NDArray[np.int64]]] = {}
    encoders: dict[tuple[str, str], Encoder] = {}
    with tempfile.TemporaryDirectory() as name:
        for precision in Precision:
            path = Path(name) / f"{precision}.onnx"
            export(graph, trained.settings.dimension, precision, path)
            encoders[precision, "onnxruntime"] = open_onnxruntime_encoder(path, threads)
            encoders[precision, "openvino"] = open_openvino_encoder(path, threads)
            embeddings = encode_texts(encoders[precision, "onnxruntime"], tokenizer, texts)
            found[precision] = embeddings, rank_with_embeddings(trained, embeddings, targets)
            exact, reference = found[Precision.FP32]
            cosines = (embeddings * exact).sum(1)
            rows[precision.value] = {
                "megabytes": path.stat().st_size / 1e6,
                "cosine": {"mean": float(cosines.mean()), "least": float(cosines.min())},
                "ndcg@10": float(ndcg(found[precision][1], 10).mean()),
                "minus_fp32": ranking.compare_paired(found[precision][1], reference)["NDCG@10"],
            }
            print(precision, rows[precision.value], flush=True)
        for (precision_name, runtime), rate in _measure_rates(encoders, tokenizer, timed).items():
            rows[precision_name].setdefault("texts_per_second", {})[runtime] = rate
    return {"data": trained.data["report"]["source"], "shoppers": len(targets), "threads": threads, "formats": rows}


def _measure_rates(
    encoders: dict[tuple[str, str], Encoder], tokenizer: TextTokenizer, texts: list[str]
) -> dict[tuple[str, str], float]:
    """Measure texts a second of each encoder: the best of several rounds, in which the encoders alternate."""
    best = dict.fromkeys(encoders, 0.0)
    for _ in range(ROUNDS):
        for name, encode in encoders.items():
            began = time.perf_counter()
            encode_texts(encode, tokenizer, texts)
            best[name] = max(best[name], len(texts) / (time.perf_counter() - began))
    return best


def format_report(content: dict[str, Any]) -> str:
    """The formats as Markdown."""
    lines = [
        "# Number formats of the text encoder",
        "",
        f"{results.format_origin(content['circumstances'])} "
        f"{content['data']}, {content['shoppers']:,} validation targets, "
        f"the whole catalogue ranked; paired 95% bootstrap intervals over shoppers. Texts a second: {TIMED_TEXTS:,} "
        f"of the texts, {content['threads']} threads, batches of like lengths, best of {ROUNDS} rounds in turns.",
        "",
        "| format | MB | cosine to fp32, mean | least | NDCG@10 | minus fp32 | 95% interval | texts/s, ONNX Runtime "
        "| texts/s, OpenVINO |",
        "|---" * 9 + "|",
    ]
    for name, row in content["formats"].items():
        low, high = row["minus_fp32"]["interval"]
        rates = row["texts_per_second"]
        lines.append(
            f"| {name} | {row['megabytes']:.1f} | {row['cosine']['mean']:.5f} | {row['cosine']['least']:.4f} "
            f"| {row['ndcg@10']:.5f} | {row['minus_fp32']['difference']:+.5f} | {low:+.5f} to {high:+.5f} "
            f"| {rates['onnxruntime']:.0f} | {rates['openvino']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure and write `results/precisions.{json,md}`."""
    parser = make_parser("precisions", __doc__)
    parser.add_argument("run", type=existing_folder, help="folder of a run that has ended")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each runtime (all cores)")
    options = parser.parse_args(arguments)
    where = results.describe_circumstances("python -m benchmarks precisions RUN")
    content = {"circumstances": where, **measure(options.run, options.threads)}
    results.write_results("precisions", content, format_report(content))
    print(format_report(content))
    return 0
