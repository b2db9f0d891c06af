"""The share of a whole catalogue's hits that the sources of candidates keep."""
