"""A check on a machine with a GPU: the release loads, answers as on the CPU, and how fast."""
