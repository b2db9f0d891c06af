"""Finding the best rows of many."""
