"""What a run is worth, as one page that a person reads: figures gathered, plots drawn, HTML written."""
