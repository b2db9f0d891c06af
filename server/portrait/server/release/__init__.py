"""A release in memory: what the gateway needs of it beside the graphs that Triton serves."""
