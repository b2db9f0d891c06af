"""Logs to one canonical data set: read a source, clean it, write events, items and shoppers."""
