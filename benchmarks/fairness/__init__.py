"""Ways to serve groups of shoppers more alike, and what each costs."""
