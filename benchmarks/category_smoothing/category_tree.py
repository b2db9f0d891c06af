"""The category tree of a data set, and smoothing along it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training.population.taxonomy import Taxonomy


@dataclass(frozen=True)
class CategoryTree:
    """The nodes above each category, and how all shoppers split a node among the nodes below."""

    nodes: NDArray[np.int64]
    """`[levels, categories]`: code of the node at each depth, widest first; below the end of its path, a category is a
    node of its own. The last level has the categories themselves."""
    shares: NDArray[np.float64]
    """`[levels, categories]`: the node's part of all shoppers' evidence for the node above it."""

    @classmethod
    def of(cls, taxonomy: Taxonomy, shares: NDArray[np.float64]) -> "CategoryTree":
        """The tree of a taxonomy.

        Args:
            taxonomy: the categories.
            shares: `[categories]`: their shares of all shoppers' evidence, each above 0.
        """
        nodes = np.stack([_number_nodes(taxonomy, depth) for depth in range(1, max(map(len, taxonomy.paths)) + 1)])
        of_node = np.stack([np.bincount(level, shares)[level] for level in nodes])
        return cls(nodes, of_node / np.concatenate([np.ones((1, len(shares))), of_node[:-1]]))

    def sum_nodes(self, masses: NDArray[np.float64]) -> NDArray[np.float64]:
        """`[levels, shoppers, categories]`: evidence under the node of each category.

        Args:
            masses: `[shoppers, categories]`.
        """
        return np.stack([_sum_level(masses, level) for level in self.nodes])

    def expect_shares(self, masses: NDArray[np.float64], strengths: Sequence[float]) -> NDArray[np.float64]:
        """`[shoppers, categories]`: the shares that the shopper's evidence for the nodes above suggests.

        Each level draws the shopper's share of a node toward the share of the level above, split as all shoppers
        split it: a hierarchical Dirichlet prior (MacKay & Peto 1995, "A hierarchical Dirichlet language model") along
        the path, as in shrinkage (McCallum et al. 1998, "Improving text classification by shrinkage in a hierarchy of
        classes"). The shares of a shopper sum to 1.

        Args:
            masses: `[shoppers, categories]`.
            strengths: for each level but the narrowest: evidence that the level above is worth, in purchases.
        """
        total, share = masses.sum(1, keepdims=True), self.shares[0]
        for depth, (strength, under) in enumerate(zip(strengths, self.sum_nodes(masses)[:-1], strict=True)):
            share = (under + strength * share) / (total + strength) * self.shares[depth + 1]
        return np.broadcast_to(share, masses.shape)

    def multiply_shares(self, masses: NDArray[np.float64], strengths: Sequence[float]) -> NDArray[np.float64]:
        """`[shoppers, categories]`: the product of smoothed shares along the path.

        Each node splits its evidence by a Dirichlet prior of its own (Minka 1999, "The Dirichlet-tree distribution").

        Args:
            masses: `[shoppers, categories]`.
            strengths: for each level, the narrowest too: evidence that the split of all shoppers is worth.
        """
        above, share = masses.sum(1, keepdims=True), np.ones_like(masses)
        for strength, under, of_node in zip(strengths, self.sum_nodes(masses), self.shares, strict=True):
            share, above = share * (under + strength * of_node) / (above + strength), under
        return share


def _number_nodes(taxonomy: Taxonomy, depth: int) -> NDArray[np.int64]:
    codes: dict[tuple[str | None, ...], int] = {}
    keys = (path[:depth] if len(path) >= depth else (*path, None) for path in taxonomy.paths)
    return np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.int64)


def _sum_level(masses: NDArray[np.float64], nodes: NDArray[np.int64]) -> NDArray[np.float64]:
    under = np.zeros((len(nodes), int(nodes.max()) + 1))
    under[np.arange(len(nodes)), nodes] = 1.0
    return (masses @ under)[:, nodes]
