"""Interests of shoppers with few events, smoothed by categories, by the category tree, and not at all."""
