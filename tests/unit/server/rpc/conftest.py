"""Fixtures of the tests of the gateway's port."""

import io

import pytest

from portrait.server.runtime import logs


@pytest.fixture
def log() -> io.StringIO:
    """The log of the test."""
    stream = io.StringIO()
    logs.configure("info", stream)
    return stream
