"""The process itself: logs, signals, background tasks, environment variables and addresses."""
