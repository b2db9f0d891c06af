"""Batching: which work runs next, and together with what. It knows neither gRPC nor Triton nor models."""
