"""The services of the contract, one module each: they convert messages, and call the engine and the store."""
