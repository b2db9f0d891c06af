"""A dry run of the shop's rules: what recorded requests would get by them, against the rules in force."""
