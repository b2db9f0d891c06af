"""How fast audiences are found among many shoppers, and what memory that takes."""
