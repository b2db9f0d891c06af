"""Candidates of the ranker: where they come from, and what the ranker reads of each."""
