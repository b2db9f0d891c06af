"""Histories as model input: arrays of the profile encoder, statistics of the trait heads."""
