"""Where the course of a run is told: to TensorBoard always, to MLflow or Weights & Biases where asked.

What is told are settings, losses, rates and metrics; never shoppers, queries or texts.
"""

from portrait.training.tracking.tracker import Tracker, TrackerConfig, log_final_metrics, open_trackers, record_tracker

__all__ = ["Tracker", "TrackerConfig", "log_final_metrics", "open_trackers", "record_tracker"]
