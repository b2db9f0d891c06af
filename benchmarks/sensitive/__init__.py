"""Recall and precision of the shipped list of sensitive topics."""
