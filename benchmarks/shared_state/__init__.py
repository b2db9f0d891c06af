"""The state in a file beside the state in Redis."""
