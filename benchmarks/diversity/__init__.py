"""The price of diversity: what is lost of the ranking where items that are alike are spread."""
