"""Figures of the import graph."""
