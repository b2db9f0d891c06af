"""What a release knows of its shoppers as a whole, estimated from the training window: see `features.population`."""
