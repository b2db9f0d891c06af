"""Eligibility for audiences: current consents, deletions and declared regions."""

from collections.abc import Sequence, Set

from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.identities import list_ids
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

    async def filter_permitted(self, last_forgotten: int, last_arrival: int, shopper_ids: Sequence[str]) -> Set[str]:
        """Keep the shoppers who allow to be found, and were not forgotten or linked after a table was begun.

        The row of a forgotten shopper describes deleted events, whatever the shopper has done and allowed since. That
        of a shopper of whom a link was made or undone describes another set of ids.

        Args:
            last_forgotten: the table's.
            last_arrival: the table's.
            shopper_ids: in the table.
        """
        allowing = await self._permissions.filter_allowing(_REQUIRED_PURPOSES, shopper_ids)
        remembered = allowing - await self._store.forgotten_since(last_forgotten, [*allowing])
        return remembered - await self._store.relinked_since(last_arrival, [*remembered])

    async def filter_by_region(self, regions: Set[str], shopper_ids: Sequence[str]) -> Set[str]:
        """Keep the shoppers who declared one of some regions and allow its use.

        Of linked ids the region of the first counts that declared one, in the order of the identity.
        """
        identities = await self._store.identities(shopper_ids)
        ids = {shopper_id: list_ids(identities, shopper_id) for shopper_id in shopper_ids}
        declared = await self._store.regions([*{each for all_ids in ids.values() for each in all_ids}])
        there = [
            shopper_id
            for shopper_id, all_ids in ids.items()
            if next((declared[each] for each in all_ids if each in declared), None) in regions
        ]
        return await self._permissions.filter_allowing({Purpose.DEMOGRAPHICS}, there)
