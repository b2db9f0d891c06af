"""The one definition of what the text in a log means: `portrait prepare` and `portrait record` both read by it.

Every function takes one value as text. It returns None for a value that says nothing, and raises ValueError, in words
that follow the value's place, for one that can't be read. The package needs nothing but Python itself, so that the
client stays light.
"""
