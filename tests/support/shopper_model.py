"""A model of some shoppers: what is held and allowed, told from what was done to a gateway, without its help."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    Purpose,
    Review,
    ReviewAction,
    ReviewTarget,
)

NOW = datetime.now(UTC).replace(microsecond=0)
IDS = ("login", "web", "app")
ITEMS = ("desk-lamp-red", "wool-rug-blue", "frying-pan-black", "garden-spade-green")
_UNLESS_WITHDRAWN = {Purpose.PERSONALISATION}
"""Purposes that a gateway allows by default until they are withdrawn; others have to be granted."""


@dataclass(frozen=True)
class Step:
    """Something that is done; the numbers say with what."""

    deed: str
    shopper: int
    other: int
    number: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            [
                "record",
                "grant",
                "grant",
                "withdraw",
                "declare",
                "link",
                "link",
                "unlink",
                "review",
                "join",
                "leave",
                "forget",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class Held:
    """All that counts of what was done.

    Args:
        ids: of one person: a login and two others. No others declare the same regions.
        in_table: whether the audience table has them.
    """

    ids: tuple[str, ...]
    in_table: bool
    events: dict[str, dict[str, Event]] = field(default_factory=dict)
    """By shopper and event id."""
    decisions: dict[tuple[str, Purpose], bool] = field(default_factory=dict)
    records: dict[str, list[tuple[Purpose, bool]]] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """By anonymous id: the login."""
    members: set[str] = field(default_factory=set)
    """Members of the household that the ids may join."""
    reviewers: dict[str, str] = field(default_factory=dict)
    """By shopper: who pinned an item."""
    changed: set[str] = field(default_factory=set)
    """Ids that were forgotten, linked or unlinked: no table of before speaks of them."""

    @property
    def household_id(self) -> str:
        """The household that the ids may join."""
        return f"home of {self.ids[0]}"

    @property
    def region_names(self) -> tuple[str, str]:
        """The regions that the ids may declare."""
        return f"north of {self.ids[0]}", f"south of {self.ids[0]}"

    def identity(self, shopper_id: str) -> list[str]:
        """List all ids of a shopper, the login first."""
        login = self.links.get(shopper_id, shopper_id)
        return [login, *sorted(each for each, of in self.links.items() if of == login)]

    def allows(self, shopper_id: str, purpose: Purpose) -> bool:
        """Tell whether a shopper allows a purpose, under each id."""
        default = purpose in _UNLESS_WITHDRAWN
        return all(self.decisions.get((each, purpose), default) for each in self.identity(shopper_id))

    def list_events(self, shopper_id: str) -> list[tuple[str, str]]:
        """List the ids of all events of a shopper, each with the id under which it is recorded."""
        return [(each, event) for each in self.identity(shopper_id) for event in self.events.get(each, {})]

    def find_region(self, shopper_id: str) -> str | None:
        """Find the region that a shopper declared under the first id that did."""
        return next((self.regions[each] for each in self.identity(shopper_id) if each in self.regions), None)

    def list_reviewers(self, shopper_id: str) -> list[str]:
        """List who reviewed something for a shopper, under any id."""
        return [self.reviewers[each] for each in self.identity(shopper_id) if each in self.reviewers]

    def take(self, client: Client, step: Step) -> None:
        """Do something to the gateway, and note what counts of it."""
        shopper_id, other_id = self.ids[step.shopper], self.ids[step.other]
        purpose = [*Purpose][step.number % len(Purpose)]
        match step.deed:
            case "record":
                self.record(client, shopper_id, step.number)
            case "grant" | "withdraw":
                self.decide(client, shopper_id, purpose, granted=step.deed == "grant")
            case "declare":
                self._declare(client, shopper_id, self.region_names[step.number % 2])
            case "link" if shopper_id != other_id:
                self._link(client, shopper_id, other_id)
            case "unlink":
                client.unlink_shoppers(shopper_id, other_id)
                if self.links.get(other_id) == shopper_id:
                    del self.links[other_id]
                    self.changed |= {shopper_id, other_id}
            case "join" | "leave":
                self._change_household(client, shopper_id, leaves=step.deed == "leave")
            case "review":
                self._review(client, shopper_id)
            case "forget":
                self._forget(client, shopper_id)

    def record(self, client: Client, shopper_id: str, number: int) -> None:
        """Record an event that is of the one id alone."""
        event = Event(
            EventType.PURCHASE if number % 2 else EventType.VIEW,
            f"{shopper_id}-{number}",
            NOW - timedelta(days=1, hours=number),
            ITEMS[number % len(ITEMS)],
            "products",
            price=9.5,
        )
        if not client.record_events([(shopper_id, event)]).rejected:
            self.events.setdefault(shopper_id, {})[event.event_id] = event

    def decide(self, client: Client, shopper_id: str, purpose: Purpose, *, granted: bool) -> None:
        """Record a decision."""
        client.set_consents(shopper_id, [Consent(purpose, granted)])
        self.decisions[shopper_id, purpose] = granted
        self.records.setdefault(shopper_id, []).append((purpose, granted))
        if purpose is Purpose.DEMOGRAPHICS and not granted:
            self.regions.pop(shopper_id, None)

    def _declare(self, client: Client, shopper_id: str, region: str) -> None:
        allowed = self.allows(shopper_id, Purpose.DEMOGRAPHICS)
        try:
            client.set_demographics(shopper_id, region=region)
        except FailedPreconditionError:
            assert not allowed
        else:
            assert allowed
            self.regions[shopper_id] = region

    def _link(self, client: Client, login: str, anonymous_id: str) -> None:
        try:
            client.link_shoppers(login, anonymous_id, source="login")
        except FailedPreconditionError:
            return
        self.links[anonymous_id] = login
        self.changed |= {login, anonymous_id}

    def _change_household(self, client: Client, shopper_id: str, *, leaves: bool) -> None:
        if leaves:
            client.leave_household(self.household_id, shopper_id)
            self.members.discard(shopper_id)
            return
        try:
            client.join_household(self.household_id, shopper_id, source="account")
        except FailedPreconditionError:
            assert shopper_id in self.links
        else:
            assert shopper_id not in self.links
            self.members.add(shopper_id)

    def _review(self, client: Client, shopper_id: str) -> None:
        reviewer = f"clerk of {shopper_id}"
        target = ReviewTarget(item_id=ITEMS[0], shopper_id=shopper_id)
        client.set_review(Review(target, ReviewAction.PIN, 1.0, reviewer))
        self.reviewers[shopper_id] = reviewer

    def _forget(self, client: Client, shopper_id: str) -> None:
        identity = self.identity(shopper_id)
        removed = len(self.list_events(shopper_id))
        assert client.forget_shopper(shopper_id).event_count == removed
        for each in identity:
            self.events.pop(each, None)
            self.records.pop(each, None)
            self.regions.pop(each, None)
            self.links.pop(each, None)
            self.members.discard(each)
            self.reviewers.pop(each, None)
            self.decisions = {key: granted for key, granted in self.decisions.items() if key[0] != each}
        self.changed |= {*identity}
