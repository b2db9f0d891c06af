"""Profiles beyond their own task: the next category, and what they reveal of demographics."""
