"""Texts of items and queries: how they are normalised, cut into words and tokens, and which words matter."""
