"""What a profile is good for beyond its own task: the next category, and what it tells of who the shopper is."""
