"""A release on disk: its files and its manifest."""
