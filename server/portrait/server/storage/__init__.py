"""Persistent state: shoppers' events, consents and demographics, and changes of catalogues."""
