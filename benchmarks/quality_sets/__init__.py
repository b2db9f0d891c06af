"""Ranking quality on every data set of a folder: Portrait by default settings against tuned baselines."""
