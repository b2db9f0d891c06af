"""Traits on public data: how far they can be believed, and what they add to recency, frequency and monetary value."""
