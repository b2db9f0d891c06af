"""Statistics of all shoppers of a release, estimated from the training window; see `features.population`."""
