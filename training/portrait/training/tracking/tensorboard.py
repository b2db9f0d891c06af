"""Scalars for TensorBoard: always there, at no cost to speak of."""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """Writes event files.

    Args:
        folder: where.
        step: the run goes on from here; what was written of later steps is forgotten.
    """

    run_id = ""

    def __init__(self, folder: Path, step: int) -> None:
        self._step = step
        self._writer = SummaryWriter(str(folder), purge_step=step)

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._step = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self.log_scalars(self._step, values)

    def close(self, ended: bool = True) -> None:
        """See `Tracker`."""
        self._writer.close()
