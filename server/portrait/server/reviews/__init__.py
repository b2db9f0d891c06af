"""Reviews: what people decided about interests, traits, items and rules, for one shopper, a segment or all."""
