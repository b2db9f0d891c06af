"""The services of the contract, one file each: messages in, the engine and the store asked, messages out."""
