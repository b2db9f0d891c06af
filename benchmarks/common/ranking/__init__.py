"""Protocols, baselines and tables of ranking quality."""
