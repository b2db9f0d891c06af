"""Speed and memory of audiences among many shoppers."""
