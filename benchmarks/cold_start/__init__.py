"""Ranking quality for items and shoppers with few events or none."""
