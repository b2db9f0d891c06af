"""Forms of the ranker on the same candidates: the network of Portrait against boosted trees."""
