"""Recommendation, search ranking and their fallbacks: candidates are generated, then ranked."""
