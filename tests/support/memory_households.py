"""Households in memory, for `memory_store.py`."""

from collections.abc import Callable, Sequence

from portrait.server.households import MAX_MEMBERS, JoinOutcome, Membership


class MemoryHouseholds:
    """Keeps memberships in a dictionary; see `Households` for what the methods do.

    Args:
        is_linked: tells whether an id is linked to a login.
        is_forgotten: tells whether the shopper of a membership was forgotten at its time or later.
    """

    def __init__(self, is_linked: Callable[[str], bool], is_forgotten: Callable[[Membership], bool]) -> None:
        self._is_linked, self._is_forgotten = is_linked, is_forgotten
        self.by_shopper: dict[str, Membership] = {}

    async def join(self, membership: Membership) -> JoinOutcome:
        before = self.by_shopper.get(membership.shopper_id)
        others = {each.shopper_id for each in await self.members(membership.household_id)} - {membership.shopper_id}
        if self._is_linked(membership.shopper_id):
            return JoinOutcome.LINKED
        if before is not None and before.household_id != membership.household_id:
            return JoinOutcome.TAKEN
        if self._is_forgotten(membership):
            return JoinOutcome.FORGOTTEN
        if len(others) >= MAX_MEMBERS:
            return JoinOutcome.FULL
        self.by_shopper[membership.shopper_id] = membership
        return JoinOutcome.JOINED

    async def leave(self, household_id: str, shopper_id: str) -> None:
        if shopper_id in self.by_shopper and self.by_shopper[shopper_id].household_id == household_id:
            del self.by_shopper[shopper_id]

    async def memberships(self, shopper_ids: Sequence[str]) -> dict[str, Membership]:
        return {each: self.by_shopper[each] for each in shopper_ids if each in self.by_shopper}

    async def members(self, household_id: str) -> list[Membership]:
        members = [each for each in self.by_shopper.values() if each.household_id == household_id]
        return sorted(members, key=lambda each: each.shopper_id.encode())
