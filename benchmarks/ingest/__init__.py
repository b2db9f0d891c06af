"""The speed of `portrait ingest`."""
