"""Time and memory of preparing and training by the size of the log."""
