"""The items of a release, and their prices."""
