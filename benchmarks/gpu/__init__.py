"""One run on a machine with a GPU: does the release load there, answer alike, and how fast."""
