"""Parts of a profile that follow from its evidence alone: pure code that the gateway and the report share."""
