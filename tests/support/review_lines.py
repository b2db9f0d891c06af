"""Reviews as `portrait review list --json` prints them, one a line."""

import json
from datetime import UTC, datetime


def review_line(
    action: str = "block",
    *,
    value: float = 0.5,
    reviewed_at: datetime = datetime(2026, 2, 1, tzinfo=UTC),
    **target: object,
) -> str:
    """Make a line of a review of a target, with the client's names of its fields."""
    unset = {"interest": [], "trait": "", "item_id": "", "rule": "", "catalogue": "", "shopper_id": ""}
    return json.dumps(
        {
            "target": unset | {"segment": None, "all_shoppers": False} | target,
            "action": action,
            "value": None if action in ("block", "keep") else value,
            "reviewed_by": "eve",
            "note": "",
            "reviewed_at": reviewed_at.isoformat(),
        }
    )
