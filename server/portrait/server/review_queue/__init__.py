"""The queue of statements that want a human review."""
