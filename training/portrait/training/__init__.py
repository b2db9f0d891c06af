"""Logs to model: prepare a data set, cut point-in-time samples, fine-tune, evaluate."""
