"""Fixtures, fakes and helpers that several test files share."""
