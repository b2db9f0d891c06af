"""A gateway under faults: its processes and files, the load on it, the faults, and the figures of its calls."""
