"""What a release knows of its shoppers as a whole, and the formulas that read it."""
