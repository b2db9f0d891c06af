"""Fairness audit: how groups of shoppers fare, by what they declared."""
