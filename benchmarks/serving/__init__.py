"""The gateway as users run it: in a process of its own, with load from other processes."""
