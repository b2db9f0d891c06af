"""Simple baselines under Portrait's own protocol: each is tuned on validation and ranks the whole catalogue."""
