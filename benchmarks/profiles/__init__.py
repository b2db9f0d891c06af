"""How far the fields of a profile can be believed."""
