"""Catalogues in memory: what requests look items up in, and find the nearest in."""
