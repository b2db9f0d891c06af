"""Finding the best rows of many: in memory, and in an engine of its own."""
