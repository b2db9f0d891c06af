"""Search by nearness: the index of a large catalogue, and sets of rows as it reads them."""
