"""A store in Redis, one server or a cluster: gateways on several machines share it.

All that is known of a shopper lies in one hash slot, so that a script reads and changes it at once. Shoppers are spread
over `keys.BUCKETS` buckets. A bucket keeps what has to be found without a shopper's id: its shoppers in order, the last
arrivals, the tombstones.
"""
