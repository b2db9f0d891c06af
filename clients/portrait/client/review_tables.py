"""Tables of reviews, and of what wants one."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from portrait.client.enums import ReviewQueueKind, ReviewQueueMeasure
from portrait.client.outputs import Rows, escape
from portrait.client.review_queue import ReviewQueueEntry
from portrait.client.reviews import Review, ReviewTarget
from portrait.client.shared_options import split_category
from portrait.client.sync import Client
from portrait.client.tables import format_category

_MAX_PAGE = 1_000
_MEASURES = {
    ReviewQueueMeasure.CONFIDENCE: "confidence",
    ReviewQueueMeasure.AUC: "AUC",
    ReviewQueueMeasure.CALIBRATION_ERROR: "calibration error",
    ReviewQueueMeasure.STABILITY_INDEX: "stability index",
    ReviewQueueMeasure.SIMILARITY: "similarity",
    ReviewQueueMeasure.EXCESS: "stated minus came true",
}


def read_queue(client: Client, kind: ReviewQueueKind | None, limit: int) -> Iterator[ReviewQueueEntry]:
    """Yield up to `limit` entries of the queue, page after page: whole ones, as some have few entries that are open.

    Raises:
        PortraitError: a call failed.
    """
    token = ""
    while limit:
        page = client.list_review_queue(kind=kind, page_size=_MAX_PAGE, page_token=token)
        found = page.entries[:limit]
        yield from found
        limit, token = limit - len(found), page.next_page_token
        if not token:
            return


def print_queue(console: Console, entries: Iterable[ReviewQueueEntry]) -> None:
    """Print entries of the queue, one a row."""
    table = Rows("", "kind", "what", "shoppers", "measure", "value", "threshold", "why", "command", ids=("command",))
    for each in entries:
        figure = (_MEASURES[each.measure], f"{each.value:.2f}", f"{each.threshold:.2f}")
        cells = (each.kind.replace("_", " "), _format_subject(each.target), str(each.shoppers), *figure, each.reason)
        table.add(*cells, format_command(each))
    table.print(console)


def format_command(entry: ReviewQueueEntry) -> str:
    """Format the command that blocks what an entry is about; empty if its names can't be typed."""
    target, name = entry.target, entry.target.trait or " > ".join(entry.target.interest)
    if escape(name) != name or (target.interest and split_category(name) != [*target.interest]):
        return ""
    option = "--trait" if target.trait else "--interest"
    return f'portrait review set --all {option}={shlex.quote(name)} --block --by="$USER"'


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
