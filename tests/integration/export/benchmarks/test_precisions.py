"""The ranking quality that a number format costs, measured through the exported graph by the usual evaluation."""

from pathlib import Path

import numpy as np

from benchmarks.common.encoders import encode_texts, open_onnxruntime_encoder
from benchmarks.experiments.precisions import format_report, measure, rank_with_embeddings
from portrait.export.graphs import export, graphs
from portrait.export.precision import LARGE, Precision
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.encoders.retrieval import embed_texts, find_ranks
from portrait.training.run import evaluation
from portrait.training.run.run import TOKENIZER_FILE, TrainedRun


def test_the_ranking_is_made_of_what_the_exported_encoder_says(trained: TrainedRun, tmp_path: Path) -> None:
    [text] = [graph for graph in graphs(trained) if graph.name == LARGE]
    export(text, trained.settings.dimension, Precision.FP32, tmp_path / "model.onnx")
    tokenizer = TextTokenizer.load(trained.folder / TOKENIZER_FILE)
    embeddings = encode_texts(open_onnxruntime_encoder(tmp_path / "model.onnx", 1), tokenizer, trained.corpus.texts)
    # Training may have read the texts in bfloat16.
    np.testing.assert_allclose(embeddings, embed_texts(trained.model, trained.cache).numpy(), atol=2e-2)

    targets = trained.holdout.validation
    own = evaluation.rank_targets(trained, trained.corpus, targets)
    own_ranks = find_ranks(own.items, trained.corpus.event_item[own.vectors.targets])
    own_vectors = embed_texts(trained.model, trained.cache).numpy()
    np.testing.assert_array_equal(rank_with_embeddings(trained, own_vectors, targets), own_ranks)
    assert (rank_with_embeddings(trained, embeddings, targets) == own_ranks).mean() > 0.8
    nonsense = np.roll(embeddings, 1, axis=0)
    assert (rank_with_embeddings(trained, nonsense, targets) != own_ranks).any()
    assert (embed_texts(trained.model, trained.cache).numpy() == own_vectors).all(), "the run itself is left as it was"


def test_every_format_has_its_row(trained: TrainedRun) -> None:
    content = measure(trained.folder, 1)
    text = format_report({"circumstances": dict.fromkeys(("command", "date", "machine", "commit"), "x"), **content})
    assert [line.split(" | ")[0] for line in text.splitlines()[-4:]] == [f"| {precision}" for precision in Precision]
    assert content["formats"]["fp32"]["minus_fp32"]["difference"] == 0.0
    assert all(row["cosine"]["mean"] > 0.9 for row in content["formats"].values())
