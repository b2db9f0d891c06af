"""How good search results are: with the shopper's profile, without it, and by other means."""
