"""The topics of a release's items, judged once; of changed items, queries and labels when they come up."""

import time
from collections.abc import Generator, Iterable, Sequence
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, EventType, Item
from portrait.features.generators import run_to_completion
from portrait.features.search import row_bitmap as bits
from portrait.features.search.conditions import NO_CONDITIONS
from portrait.features.search.row_bitmap import RowBitmap
from portrait.server.catalogue.delta import CatalogueDelta
from portrait.server.catalogue.growable_array import GrowableArray
from portrait.server.catalogue.snapshot import CatalogueSnapshots, Selection, Snapshot
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.release.release import Release
from portrait.server.runtime.cooperation import run_in_steps
from portrait.server.sensitivity.matcher import Path, TopicMatcher
from portrait.server.sensitivity.topic_file import DataUse, TopicPolicy

_ITEMS_PER_PAUSE = 256
_MAX_INLINE_EVENTS, _MAX_INLINE_CHARACTERS = 512, 1_024
"""So many events, and characters of queries, are judged within a few milliseconds, whatever is typed."""


class ReleaseTopics:
    """Tells what of a history may be used, and what of a catalogue may be shown.

    A set of topics is a number with a bit for each, in the order of the policy.

    Args:
        policy: the topics, and what the operator allows.
        release: its items are judged here, which takes some twenty seconds for a million.
    """

    def __init__(self, policy: TopicPolicy, release: Release) -> None:
        self.policy = policy
        self._release = release
        self._matcher = TopicMatcher(policy, release.tokenizer.knows_word)
        self.of_items = self._judge_items()
        """`[items]`: topics of each of the release's items."""
        self._item_topics = self.of_items.data  # single numbers come faster out of a memoryview than out of an array
        self._traits = {
            trait.name: self.judge_text(trait.name.replace("_", " ")) | self.judge_text(trait.description)
            for trait in release.traits
        }
        self._added: WeakKeyDictionary[CatalogueDelta, GrowableArray[np.uint64]] = WeakKeyDictionary()
        """Topics of the items added since, by place."""
        self._find_stock = lru_cache(maxsize=64)(self._find_stock_rows)

    def _judge_items(self) -> NDArray[np.uint64]:
        """`[items]`: judge paths and brands once each, and every title."""
        items = self._release.items
        found = np.zeros(len(items), dtype=np.uint64)
        if not self.policy.topics:
            return found
        paths = np.array([self._matcher.match_path(path) for path in items.codes.paths], dtype=np.uint64)
        brands = np.array([self._matcher.match_text(brand) for brand in items.codes.brands], dtype=np.uint64)
        for row in range(len(items)):
            found[row] = self._matcher.match_title(items[row].title)
            if row % _ITEMS_PER_PAUSE == 0:
                time.sleep(0)  # other threads answer requests meanwhile, and would wait for the GIL for 5 ms
        return np.asarray(found | paths[items.columns.path] | brands[items.columns.brand])

    def count_items(self) -> dict[str, int]:
        """Count the release's items of each topic that has any."""
        found = {
            name: int(np.count_nonzero(self.of_items & np.uint64(1 << place)))
            for place, name in enumerate(self.policy.topics)
        }
        return {name: count for name, count in found.items() if count}

    def judge_text(self, text: str) -> int:
        """Find the topics of a query, a label or another text."""
        return self._matcher.match_text(text)

    def judge_path(self, path: Path) -> int:
        """Find the topics of a node of the taxonomy and those above it."""
        return self._matcher.match_path(path)

    def judge_item(self, item: Item) -> int:
        """Find the topics of an item that may not be of the release."""
        title, brand = self._matcher.match_text(item.title), self._matcher.match_text(item.brand or "")
        return title | brand | self._matcher.match_path(item.category_path)

    def judge_event(self, event: Event, snapshots: CatalogueSnapshots) -> int:
        """Find the topics of an event: those of its query and of its item, as it was and as it is."""
        found = self.judge_text(event.query) if event.query else 0
        if event.item_id is None or event.type is EventType.SEARCH:
            return found
        row = self._release.items.row(event.catalogue, event.item_id)
        if row >= 0:
            found |= self._item_topics[row]
        snapshot = snapshots.by_name.get(event.catalogue)
        if row < 0 or (snapshot is not None and snapshot.delta_rows):
            item = snapshots.item(event)
            # An explanation names an unknown item by its id.
            found |= self.judge_text(event.item_id) if item is None else self.judge_item(item)
        return found

    async def select_usable(
        self, history: Sequence[Event], snapshots: CatalogueSnapshots, withheld: int
    ) -> Sequence[Event]:
        """Select the events of a history that may be used; many of them, or long queries, hold no other call up.

        Args:
            history: any events.
            snapshots: look up items.
            withheld: as `TopicPolicy.find_withheld` gives them.
        """
        if not withheld:
            return history
        work = self._select(history, snapshots, withheld)
        is_short = (
            len(history) <= _MAX_INLINE_EVENTS
            and sum(len(event.query or "") for event in history) <= _MAX_INLINE_CHARACTERS
        )
        return run_to_completion(work) if is_short else await run_in_steps(work)

    def _select(
        self, history: Sequence[Event], snapshots: CatalogueSnapshots, withheld: int
    ) -> Generator[None, None, list[Event]]:
        usable = []
        for event in history:
            yield
            if not self.judge_event(event, snapshots) & withheld:
                usable.append(event)
        return usable

    def judge_trait(self, name: str) -> int:
        """Find the topics of a declared trait, by its name and description."""
        return self._traits.get(name, 0)

    def find_unshown(self, catalogue: Snapshot, min_age: int) -> Selection | None:
        """Find the rows of a catalogue whose items need a declared age that a shopper lacks; None if there are none.

        Args:
            catalogue: the items.
            min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
        """
        withheld = self.policy.find_withheld(RECOMMENDATION_USES, min_age) & self.policy.aged
        if not withheld:
            return None
        stock, has_stock = self._find_stock(withheld)
        added = self._judge_added(catalogue.delta, catalogue.delta_rows) & np.uint64(withheld) != 0
        if not has_stock and not added.any():
            return None
        return Selection(stock, added, NO_CONDITIONS)

    def _find_stock_rows(self, withheld: int) -> tuple[RowBitmap, bool]:
        """Find the release's rows of some topics, and tell whether there are any."""
        rows = self.of_items & np.uint64(withheld) != 0
        return bits.pack_rows(rows), bool(rows.any())

    def _judge_added(self, delta: CatalogueDelta, count: int) -> NDArray[np.uint64]:
        """`[count]`: topics of the first items of a delta; each is judged once, as places never change."""
        known = self._added.get(delta)
        if known is None:
            known = self._added[delta] = GrowableArray(np.empty(0, dtype=np.uint64))
        if len(known) < count:
            fresh = [self.judge_item(delta.item(place)) for place in range(len(known), count)]
            known.append(np.array(fresh, dtype=np.uint64))
        return known.rows[:count]

    def require_open(self, judged: Iterable[tuple[str, int]], withheld: int) -> None:
        """Require that what a caller asks for by name is of no withheld topic.

        Args:
            judged: field of the request, and topics of its value.
            withheld: as `TopicPolicy.find_withheld` gives them.

        Raises:
            FailedPrecondition: it is; the message names the topic.
        """
        for field, topics in judged:
            if found := topics & withheld:
                raise FailedPrecondition(
                    f"it is of a sensitive topic that the operator has not allowed here: "
                    f"{', '.join(self.policy.list_names(found))}",
                    ErrorReason.SENSITIVE_TOPIC,
                    field,
                )


PROFILE_USES = frozenset({DataUse.PROFILE})
EXPLANATION_USES = frozenset({DataUse.EXPLANATION})
AUDIENCE_USES = frozenset({DataUse.AUDIENCE})
RECOMMENDATION_USES = frozenset({DataUse.RECOMMENDATION})
