"""A prepared data set as training reads it: its tables, its content identity, its events as arrays, and its splits."""
