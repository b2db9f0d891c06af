"""Sensitive topics: what of a shopper is neither shown, explained, targeted nor used, unless the operator allows it."""
