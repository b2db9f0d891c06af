"""Profiles of shoppers: a pure function of history, release and time."""
