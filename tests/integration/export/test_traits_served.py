"""From training to serving: a shopper's traits are served as they were learnt, by the same features."""

import asyncio
import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import torch

from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.features.events import Event, EventType
from portrait.features.histories.statistics import STATISTICS
from portrait.server.engine import Engine
from portrait.server.profiles.compute import compute_profile
from portrait.server.triton import EmbeddedTriton
from portrait.training.run.run import TrainedRun
from portrait.training.traits.artifacts import FittedTraits
from portrait.training.traits.heads import HeadShape, TraitHead, TraitHeads
from portrait.training.traits.samples import compute_head_inputs

MOMENT = datetime(2026, 2, 10, tzinfo=UTC)


def history(data: Path, shopper_id: str) -> list[Event]:
    """The recorded events of a shopper up to the moment."""
    kept = ("event_id", "time", "item_id", "query", "price", "quantity", "rating", "dwell_seconds", "position")
    table = pl.read_parquet(data / "events.parquet").sort("shopper_id", "sequence")
    rows = table.filter((pl.col("shopper_id") == shopper_id) & (pl.col("time") <= MOMENT)).iter_rows(named=True)
    return [Event(type=EventType(row["type"]), **{name: row[name] for name in kept}) for row in rows]


def test_probabilities_are_those_of_training(trained: TrainedRun, tmp_path: Path) -> None:
    torch.manual_seed(0)
    dimension = trained.settings.dimension
    shapes = (HeadShape(True, 8), HeadShape(False, 0))
    heads = TraitHeads([TraitHead(dimension, range(len(STATISTICS)), shape) for shape in shapes]).eval()
    entry = {"description": "", "horizon_days": 30, "window_days": 90, "absent": None}
    traits = FittedTraits([entry | {"name": name} for name in ("one", "two")], heads)
    manifest, _ = export_release(
        dataclasses.replace(trained, traits=traits), {}, tmp_path, Precision.FP32, lambda _: None
    )

    data = Path(trained.data["path"])
    shoppers = np.arange(0, len(trained.corpus.shopper_ids), 20)
    told = compute_head_inputs(
        trained.model, trained.cache, trained.corpus, shoppers, np.full(len(shoppers), MOMENT.timestamp())
    )
    with torch.no_grad():
        wanted = heads(torch.from_numpy(told.profile), torch.from_numpy(told.statistics)).numpy()

    async def serve() -> list[list[float | None]]:
        async with EmbeddedTriton(tmp_path, tmp_path / "triton.log") as triton:
            await triton.load(manifest.release)
            engine = await Engine.open(tmp_path, manifest.release, [triton.url], 1 << 20)
            profiles = [
                await compute_profile(
                    engine, history(data, shopper), MOMENT, fields=frozenset({"traits"}), deadline=None
                )
                for shopper in np.array(trained.corpus.shopper_ids)[shoppers].tolist()
            ]
            await engine.close()
            return [[value.probability for value in profile.traits] for profile in profiles]

    # Queries are encoded in bfloat16 where the CPU can.
    np.testing.assert_allclose(np.array(asyncio.run(serve()), dtype=np.float64), wanted, atol=5e-3)
