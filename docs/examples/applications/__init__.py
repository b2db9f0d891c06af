"""The six applications, each a short script over Portrait's public client."""
