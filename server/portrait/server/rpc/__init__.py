"""The gateway's port: what happens around every call, the services of the contract, and the contract's limits."""
