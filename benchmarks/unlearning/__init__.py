"""Whether a run that was unlearnt still tells who was in its log, what it is worth, and how long it takes."""
