"""The shop's own rules for recommendations: what is not shown, shown first, or shown less."""
