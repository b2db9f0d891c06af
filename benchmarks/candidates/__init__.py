"""What the sources of candidates keep of the ranking of a whole catalogue."""
