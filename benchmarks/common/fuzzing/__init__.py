"""Requests that break the protocol, and their sender."""
