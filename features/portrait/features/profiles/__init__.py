"""What a profile says by its evidence alone: pure code that the gateway and the report of an export share."""
