"""Which release serves whom, and how that changes while requests flow."""
