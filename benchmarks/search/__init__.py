"""Search quality: with the shopper's profile, without it, and by baselines."""
