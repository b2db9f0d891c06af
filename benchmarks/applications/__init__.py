"""What each of the six applications is worth, measured through a real gateway by the code of its example."""
