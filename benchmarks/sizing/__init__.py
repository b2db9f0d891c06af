"""The machines of a large shop, computed from measured costs, and simulations of its caches and hot keys."""
