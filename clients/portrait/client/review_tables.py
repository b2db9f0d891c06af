"""Tables of reviews."""

from collections.abc import Sequence

from rich.console import Console

from portrait.client.outputs import Rows
from portrait.client.reviews import Review, ReviewTarget
from portrait.client.tables import format_category


def print_reviews(console: Console, reviews: Sequence[Review]) -> None:
    """Print reviews, one a row."""
    table = Rows("", "for", "what", "is", "by", "note", "reviewed at", ids=("for",))
    for each in reviews:
        value = "" if each.value is None else f" {each.value:g}"
        cells = (f"{each.action}{value}", each.reviewed_by, each.note)
        time = "" if each.reviewed_at is None else f"{each.reviewed_at:%Y-%m-%d %H:%M:%S}"
        table.add(_format_scope(each.target), _format_subject(each.target), *cells, time)
    table.print(console)


def _format_scope(target: ReviewTarget) -> str:
    if target.segment is None:
        return target.shopper_id or "all"
    return ", ".join(filter(None, (format_category(target.segment.category), target.segment.brand)))


def _format_subject(target: ReviewTarget) -> str:
    if target.interest:
        return f"interest {format_category(target.interest)}"
    if target.item_id:
        return f"item {target.item_id}"
    return f"trait {target.trait}" if target.trait else f"rule {target.rule}"
