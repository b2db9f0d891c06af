"""Eligibility for audiences: current consents, deletions and declared regions."""

from collections.abc import Sequence, Set

from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.storage.store import Store

_REQUIRED_PURPOSES = {Purpose.PERSONALISATION, Purpose.ADVERTISING}
"""Purposes that a member of an audience must allow: membership follows from the shopper's events."""


class AudienceEligibility:
    """Filters shoppers by the store's current state: consents in a table would be outdated.

    Args:
        store: has what shoppers declared, and who was forgotten.
        permissions: says what they allow.
    """

    def __init__(self, store: Store, permissions: Permissions) -> None:
        self._store, self._permissions = store, permissions

    async def filter_permitted(self, last_forgotten: int, shopper_ids: Sequence[str]) -> Set[str]:
        """Keep the shoppers who allow to be found and were not forgotten after a table was begun.

        The row of a forgotten shopper describes deleted events, whatever the shopper has done and allowed since.

        Args:
            last_forgotten: the table's.
            shopper_ids: in the table.
        """
        allowing = await self._permissions.filter_allowing(_REQUIRED_PURPOSES, shopper_ids)
        return allowing - await self._store.forgotten_since(last_forgotten, [*allowing])

    async def filter_by_region(self, regions: Set[str], shopper_ids: Sequence[str]) -> Set[str]:
        """Keep the shoppers who declared one of some regions and allow its use."""
        declared = await self._store.regions(shopper_ids)
        there = [shopper_id for shopper_id, region in declared.items() if region in regions]
        return await self._permissions.filter_allowing({Purpose.DEMOGRAPHICS}, there)
