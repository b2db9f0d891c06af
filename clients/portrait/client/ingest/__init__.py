"""Ingestion of events from a stream into a gateway: at least once from the stream, once in the gateway."""
