"""Consents: what each shopper allows."""
