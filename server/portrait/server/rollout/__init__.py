"""Rollout of releases: which release serves which shopper, and how that changes while requests flow."""
