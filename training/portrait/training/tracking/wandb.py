"""A run in Weights & Biases: offline in `wandb/` among the run's records, unless `WANDB_MODE` says otherwise."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

PROJECT = "portrait"
_STEP = "step"


class WandbRun:
    """One run.

    Args:
        run: the open run.
    """

    def __init__(self, run: Any) -> None:
        self._run, self.run_id = run, str(run.id)

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        # W&B's own step can't go back, as that of a run which goes on from a checkpoint does.
        self._run.log({**values, _STEP: step})

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._run.summary.update(dict(values))

    def close(self, ended: bool = True) -> None:
        """See `Tracker`."""
        self._run.finish(exit_code=0 if ended else 1)


def open_run(folder: Path, name: str, run_id: str, settings: Mapping[str, object]) -> WandbRun:
    """Begin a run, or go on with `run_id`.

    Args:
        folder: of the records.
        name: of a new run.
        run_id: "" for a new run.
        settings: of a new run.
    """
    mode = os.environ.get("WANDB_MODE", "offline")
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        dir=folder,
        id=run_id or secrets.token_hex(4),
        name=name,
        config={key: str(value) if isinstance(value, str) else value for key, value in settings.items()},
        mode=mode,
        resume="allow" if mode == "online" else None,
        reinit="create_new",
        # Nothing but what we tell it: no code, no machine, no console.
        settings=wandb.Settings(
            console="off", disable_code=True, disable_git=True, save_code=False, silent=True, x_disable_meta=True,
            x_disable_stats=True,
        ),
    )  # fmt: skip
    run.define_metric("*", step_metric=_STEP)
    return WandbRun(run)
