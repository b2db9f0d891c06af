"""Explanations of scores, interests and traits."""
