"""Unlearning: what a run still tells of who has left its log, its quality, and its time."""
