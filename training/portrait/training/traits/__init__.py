"""Traits: named probabilities of shoppers, declared in a file and learnt as heads of the profile model."""
