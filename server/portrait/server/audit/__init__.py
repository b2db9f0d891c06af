"""The audit log: who did what for whom, and why, in a file whose changes can be detected."""
