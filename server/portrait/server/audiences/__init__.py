"""Audiences: which shoppers of a release's shopper table meet some criteria. It knows neither gRPC nor the stores."""
