"""Reviews as `portrait review list --json` prints them, one a line."""

import json


def review_line(action: str = "block", **target: object) -> str:
    """Make a line of a review of a target, with the client's names of its fields."""
    unset = {"interest": [], "trait": "", "item_id": "", "rule": "", "catalogue": "", "shopper_id": ""}
    return json.dumps(
        {
            "target": unset | {"segment": None, "all_shoppers": False} | target,
            "action": action,
            "value": None if action == "block" else 0.5,
            "reviewed_by": "eve",
            "note": "",
            "reviewed_at": "2026-02-01T00:00:00+00:00",
        }
    )
