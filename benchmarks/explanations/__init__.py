"""Faithfulness of explanations: the effect of removing what they cite, and their change with the model."""
