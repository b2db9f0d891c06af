"""The limits of the contract, and how what breaks them, and every other error, looks from outside."""
