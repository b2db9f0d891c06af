"""Ranking quality: Portrait against baselines that cost a team nothing, under one protocol."""
