"""Hours of use in a few: whether memory and files stay flat under mixed load, swaps, kills and retention."""
