"""A release's statistics of its shoppers as a whole, and the formulas that read them."""
