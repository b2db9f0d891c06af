"""Where the course of a run is told: to TensorBoard always, to MLflow or Weights & Biases where asked.

What is told are settings, losses, rates and metrics; never shoppers, queries or texts.
"""

from portrait.training.tracking.tracker import Tracker, Tracking, choose, opened, tell_metrics

__all__ = ["Tracker", "Tracking", "choose", "opened", "tell_metrics"]
