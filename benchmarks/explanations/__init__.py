"""What explanations are worth: whether removing what they cite matters, and whether they change with the model."""
