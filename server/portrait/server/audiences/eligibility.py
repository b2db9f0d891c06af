"""Who may be part of an audience, and whose region it may go by, by what shoppers said up to this moment."""

from collections.abc import Sequence, Set

from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.storage.store import Store

_REQUIRED_PURPOSES = {Purpose.PERSONALISATION, Purpose.ADVERTISING}
"""What who is found in an audience must allow: it is made of what they did."""


class AudienceEligibility:
    """Asks the store at the moment of every answer: what a table says of consents would be of yesterday.

    Args:
        store: has what shoppers declared, and who was forgotten.
        permissions: says what they allow.
    """

    def __init__(self, store: Store, permissions: Permissions) -> None:
        self._store, self._permissions = store, permissions

    async def filter_permitted(self, last_forgotten: int, shopper_ids: Sequence[str]) -> Set[str]:
        """Those of some shoppers who allow to be found, and were not forgotten after a table was begun.

        What a table says of somebody who was forgotten is of before, whatever they have done and allowed since.

        Args:
            last_forgotten: the table's.
            shopper_ids: in the table.
        """
        allowing = await self._permissions.filter_allowing(_REQUIRED_PURPOSES, shopper_ids)
        return allowing - await self._store.forgotten_since(last_forgotten, [*allowing])

    async def filter_by_region(self, regions: Set[str], shopper_ids: Sequence[str]) -> Set[str]:
        """Those of some shoppers who declared one of some regions, and allow to go by it."""
        declared = await self._store.regions(shopper_ids)
        there = [shopper_id for shopper_id, region in declared.items() if region in regions]
        return await self._permissions.filter_allowing({Purpose.DEMOGRAPHICS}, there)
