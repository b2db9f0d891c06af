"""A load test of a gateway: calls as a team's own shoppers make them, sent by k6."""
