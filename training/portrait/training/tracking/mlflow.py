"""A run in MLflow: in the database that `MLFLOW_TRACKING_URI` names, or in `mlflow.db` among the run's records."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

# It would tell its makers that it is used.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param, RunStatus
from mlflow.tracking import MlflowClient

EXPERIMENT = "portrait"
_BUFFER = 500
"""Numbers that are sent together, of at most 1,000 that MLflow takes at once."""


class MlflowRun:
    """One run, through MLflow's client.

    Args:
        client: of the database.
        run_id: the run there.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self.run_id = client, run_id
        self._waiting: list[Metric] = []
        self._step = 0

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        now = int(time.time() * 1000)
        self._step = step
        # MLflow allows no @ in a name.
        self._waiting += [Metric(name.replace("@", "_at_"), value, now, step) for name, value in values.items()]
        if len(self._waiting) >= _BUFFER:
            self._send()

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self.log_scalars(self._step, values)

    def close(self, ended: bool = True) -> None:
        """See `Tracker`."""
        self._send()
        self._client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FINISHED if ended else RunStatus.KILLED))

    def _send(self) -> None:
        self._client.log_batch(self.run_id, metrics=self._waiting)
        self._waiting = []


def open_run(folder: Path, name: str, run_id: str, settings: Mapping[str, object]) -> MlflowRun:
    """Begin a run, or go on with `run_id`.

    Args:
        folder: of the database, if `MLFLOW_TRACKING_URI` names none.
        name: of a new run.
        run_id: "" for a new run.
        settings: of a new run.
    """
    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}"))
    if run_id:
        client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
        return MlflowRun(client, run_id)
    known = client.get_experiment_by_name(EXPERIMENT)
    experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
    run = client.create_run(experiment, run_name=name)
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in settings.items()])
    return MlflowRun(client, run.info.run_id)
