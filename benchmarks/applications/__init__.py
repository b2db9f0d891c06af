"""The quality of each of the six applications, measured through a real gateway by the code of its example."""
