"""What the gateway keeps between restarts: shoppers' events, consents and declarations, and changes of catalogues."""
