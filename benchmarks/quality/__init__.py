"""How good rankings are: Portrait against what a team gets for nothing, under one protocol."""
