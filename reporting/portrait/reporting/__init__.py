"""The report of a run, as one page that a person reads: figures gathered, plots drawn, HTML written."""
