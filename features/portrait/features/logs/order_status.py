"""Orders that were called off, by their state: one rule for `portrait prepare` and `record`, which only warn."""

import re

STATUS_COLUMNS = frozenset({
    "status", "state", "order status", "order_status", "orderstatus", "order state", "order_state", "financial status",
    "financial_status", "payment status", "payment_status", "item status", "item_status",
})  # fmt: skip
"""Columns in which exports say that an order was called off, in lower case."""
CALLED_OFF_PATTERN = "cancel|refund|return|void|fail|declin|storn|retour|annul|取消|退款|退货"
"""RE2 pattern, in lower case, of what such a column then says."""
_CALLED_OFF = re.compile(CALLED_OFF_PATTERN)


def describe_called_off(count: int, column: str) -> str:
    """Say that purchases of a log were called off, and what to do.

    Args:
        count: of purchases.
        column: that says so.
    """
    verb = "purchase was" if count == 1 else "purchases were"
    return (
        f"{count:,} {verb} called off, says the column {column!r}, which is not read: each counts as a purchase; leave "
        "such rows out, or give them the type 'refund'"
    )


def is_called_off(column: str, value: str) -> bool:
    """Tell whether a column says that the order of its row was called off."""
    return column.casefold() in STATUS_COLUMNS and _CALLED_OFF.search(value.lower()) is not None
