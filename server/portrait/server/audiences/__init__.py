"""Audiences: which shoppers of a release's audience table meet some criteria. It knows neither gRPC nor the stores."""
