"""What all tests share."""

from hypothesis import settings

# No test depends on the clock: the first example of a test may pay for imports and shared fixtures.
settings.register_profile("portrait", deadline=None)
settings.load_profile("portrait")
