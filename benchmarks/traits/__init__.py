"""Traits on public data: their calibration, and their gain over recency, frequency and monetary value."""
