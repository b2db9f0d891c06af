"""Record events of a shopper and get recommendations: python shopper.py ADDRESS SHOPPER_ID."""

import math
import sys
from datetime import UTC, datetime

from portrait.client import Client, Event, EventType, PortraitError


def main(address: str, shopper_id: str) -> None:
    """Record two events, get a profile and recommendations, and print the details of errors."""
    with Client(address) as portrait:
        now = datetime.now(UTC)
        recorded = portrait.record_events(
            [
                (shopper_id, Event(EventType.SEARCH, f"{shopper_id}-1", now, query="red desk lamp")),
                (shopper_id, Event(EventType.VIEW, f"{shopper_id}-2", now, item_id="desk-lamp-red")),
            ]
        )
        print(f"accepted {recorded.accepted}")

        profile = portrait.get_profile(shopper_id, fields=["release", "event_count", "embedding"])
        print(f"release {profile.release}, events {profile.event_count}")
        vector = list(profile.embedding or ())
        print(f"embedding of {len(vector)} numbers, length {math.hypot(*vector):.3f}")

        for ranked in portrait.recommend(shopper_id, query="desk lamp", k=3).items:
            print(f"recommended {ranked.item.item_id}")

        for k, catalogue in ((-1, ""), (3, "nowhere")):
            try:
                portrait.recommend(shopper_id, k=k, catalogue=catalogue)
            except PortraitError as error:
                for violation in error.violations:
                    print(f"{error.code.name} {error.reason} {violation.field}: {violation.description}")


if __name__ == "__main__":
    main(*sys.argv[1:])
