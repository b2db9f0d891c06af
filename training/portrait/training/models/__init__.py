"""The three graphs of a release, as PyTorch modules: text encoder, profile encoder, ranker."""
