"""The part of the in-memory gateway that keeps links and households."""

from datetime import datetime

from portrait.client.results import Identity, Link, Membership
from portrait.client.testing.rules import NOW


class FakeIdentities:
    """Keeps links and memberships, and refuses none."""

    def __init__(self) -> None:
        self._links: dict[str, dict[str, Link]] = {}
        """By login and anonymous id."""
        self._memberships: dict[str, Membership] = {}
        """By shopper."""

    def _link_shoppers(
        self, shopper_id: str, anonymous_id: str, source: str, confidence: float, time: datetime | None
    ) -> Identity:
        links = self._links.setdefault(shopper_id, {})
        links[anonymous_id] = Link(anonymous_id, source, confidence, time or NOW, NOW)
        return self._get_identity(shopper_id)

    def _unlink_shoppers(self, shopper_id: str, anonymous_id: str) -> Identity:
        self._links.get(shopper_id, {}).pop(anonymous_id, None)
        return self._get_identity(shopper_id)

    def _get_identity(self, shopper_id: str) -> Identity:
        login = next((login for login, links in self._links.items() if shopper_id in links), shopper_id)
        links = self._links.get(login, {})
        return Identity(login, tuple(links[each] for each in sorted(links)), self._memberships.get(login))

    def _join_household(
        self, household_id: str, shopper_id: str, source: str, confidence: float, time: datetime | None
    ) -> Identity:
        self._memberships[shopper_id] = Membership(household_id, shopper_id, source, confidence, time or NOW, NOW)
        return self._get_identity(shopper_id)

    def _leave_household(self, household_id: str, shopper_id: str) -> Identity:
        if shopper_id in {each.shopper_id for each in self._get_household(household_id)}:
            del self._memberships[shopper_id]
        return self._get_identity(shopper_id)

    def _get_household(self, household_id: str) -> tuple[Membership, ...]:
        of_household = (each for each in self._memberships.values() if each.household_id == household_id)
        return tuple(sorted(of_household, key=lambda each: each.shopper_id))
