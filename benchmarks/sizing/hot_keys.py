"""The load of Redis' servers when few shoppers send many requests: by the gateway's own keys and Redis' slots."""

from dataclasses import dataclass

import numpy as np
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from benchmarks.sizing.zipf import Zipf
from portrait.server.storage.redis.keys import ALL_BUCKETS, ShopperKeys

_DRAWS = 4_000_000


@dataclass(frozen=True)
class MasterLoad:
    """The busiest server of a cluster."""

    exponent: float
    masters: int
    top_shopper_share: float
    """The share of all requests that the busiest shopper sends."""
    busiest_share: float
    """The share of all requests that the busiest server gets; an even one is 1 / masters."""
    fullest_buckets: int
    """Buckets, of 256, of the server that has most of them: its share of the memory."""


def simulate_masters(shoppers: int, exponent: float, masters: list[int], seed: int = 0) -> list[MasterLoad]:
    """Draw the shoppers of four million requests and count what each server of clusters of several sizes gets."""
    law = Zipf(shoppers, exponent)
    drawn, counts = np.unique(law.draw(_DRAWS, np.random.default_rng(seed)), return_counts=True)
    buckets = np.array([ShopperKeys.of(f"shopper-{rank}").bucket.number for rank in drawn])
    load = np.bincount(buckets, weights=counts, minlength=len(ALL_BUCKETS)) / _DRAWS
    slots = np.array([key_slot(bucket.counter.encode()) for bucket in ALL_BUCKETS])
    loads = []
    for count in masters:
        owner = slots * count // REDIS_CLUSTER_HASH_SLOTS  # ranges of slots, as redis-cli gives them out
        busiest = float(np.bincount(owner, weights=load, minlength=count).max())
        fullest = int(np.bincount(owner, minlength=count).max())
        loads.append(MasterLoad(exponent, count, law.top_share, busiest, fullest))
    return loads
