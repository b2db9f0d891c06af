"""What the gateway keeps between restarts: shoppers' events, and changes of catalogues since the release."""
