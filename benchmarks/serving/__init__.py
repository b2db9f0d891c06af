"""How the gateway behaves as users run it: in a process of its own, load from other processes."""
