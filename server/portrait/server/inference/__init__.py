"""The release's graphs as functions: batching, caching, and the way to Triton."""
