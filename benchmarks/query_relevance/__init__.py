"""Share of relevant items among the first results of plain product queries."""
