"""The adaptation of the base model by itself: gains for a shop's items, and losses elsewhere."""
