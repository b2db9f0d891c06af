"""Requests that break the protocol, and what sends them."""
