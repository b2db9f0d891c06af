"""The report of a run: gathers figures, draws plots and writes one HTML page that states the quality of the run."""
