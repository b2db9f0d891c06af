"""Tracking of runs: always in TensorBoard, on request in MLflow or Weights & Biases too.

Trackers receive settings, losses, rates and metrics; never shoppers, queries or texts.
"""

from portrait.training.tracking.tracker import Tracker, TrackerConfig, log_final_metrics, open_trackers, record_tracker

__all__ = ["Tracker", "TrackerConfig", "log_final_metrics", "open_trackers", "record_tracker"]
