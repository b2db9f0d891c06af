"""A training run in its folder: trained, loaded, evaluated, searched for hyper-parameters, given traits."""
