"""The encoders of texts and histories: their modules, their training, and retrieval by their vectors."""
