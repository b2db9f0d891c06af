"""A load generator for gateways, and the calls that it sends."""
