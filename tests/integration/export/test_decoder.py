"""A GPT as the base model: trained, exported with parity, and answering through a real Triton as a BERT does."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from support import tiny_data

from portrait.export import parity
from portrait.export.graphs import export, graphs
from portrait.export.precision import LARGE, Precision
from portrait.export.release import export_release
from portrait.features.events import Event, EventType
from portrait.server.engine import Engine
from portrait.server.recommendation.ranking import RecommendRequest, recommend
from portrait.server.triton import EmbeddedTriton
from portrait.training.enums import FineTuning, Preset
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun
from portrait.training.settings import TrainSettings


def _train(folder: Path, tuning: FineTuning) -> TrainedRun:
    gpt = tiny_data.write_gpt(folder / "gpt")
    chosen = {"dimension": 16, "layers": 1, "max_epochs": 2, "batch_events": 512, "frozen_bert_share": 0.25}
    settings = TrainSettings.from_preset(Preset.QUICK, base_model=str(gpt), finetune=tuning, **chosen)
    runs.train_run(tiny_data.write(folder / "data"), folder / "run", settings)
    trained = runs.load_run(folder / "run")
    assert trained.model.text.pools_last_token
    return trained


def test_a_decoder_is_exported_as_it_was_trained(tmp_path: Path) -> None:
    trained = _train(tmp_path, FineTuning.FULL)
    [text] = [graph for graph in graphs(trained) if graph.name == LARGE]
    export(text, trained.settings.dimension, Precision.FP32, tmp_path / "model.onnx")
    parity.require([parity.check_runtime(text, tmp_path / "model.onnx", trained.settings.dimension, Precision.FP32)])


async def test_a_decoder_with_a_prefix_serves_like_an_encoder(tmp_path: Path) -> None:
    trained = _train(tmp_path, FineTuning.PREFIX)
    repository = tmp_path / "model_repository"
    # `make` starts an event loop of its own.
    manifest, checks = await asyncio.to_thread(export_release, trained, {}, repository, Precision.FP32, lambda _: None)
    assert {check.runtime for check in checks if check.graph == "text_encoder"} == {"onnxruntime", "triton"}
    assert all(check.holds for check in checks)
    async with EmbeddedTriton(repository, tmp_path / "triton.log") as triton:
        await triton.load(manifest.release)
        engine = await Engine.open(repository, manifest.release, [triton.url], text_cache_bytes=1 << 20)
        vectors = await engine.texts.encode([*trained.corpus.texts, ""], None)
        offline = trained.model.text.head(trained.cache.pooled).detach().numpy()
        np.testing.assert_allclose(vectors[: len(offline)], offline, atol=0.03)  # bfloat16 where the CPU has it
        assert np.isfinite(vectors[-1]).all()
        now = datetime(2026, 5, 1, tzinfo=UTC)
        history = [Event("1", EventType.PURCHASE, now, "Lamps-3", "products", price=14.0)]
        ranking = await recommend(engine, RecommendRequest(history, now, exclude_seen=True, k=5), deadline=None)
        assert len(ranking.items) == 5
        assert "Lamps-3" not in [ranked.item.item_id for ranked in ranking.items]
        await engine.close()
