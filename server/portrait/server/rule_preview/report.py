"""The result of a dry run as text. It names calls by their numbers: neither shoppers nor queries are printed."""

from collections import Counter
from collections.abc import Iterator, Sequence

from portrait.server.rule_preview.calls import MAX_CALLS, RecordedCalls
from portrait.server.rule_preview.effects import Change
from portrait.server.rule_preview.preview import CallPreview, MovedItem, RulesPreview
from portrait.server.rules.file import Rule

_MAX_TITLE = 40


def format_preview(
    preview: RulesPreview, recorded: RecordedCalls, in_force: Sequence[Rule], new: Sequence[Rule]
) -> Iterator[str]:
    """Format each call that changes, the calls that each changed rule reaches, and a summary."""
    for call in preview.calls:
        yield from _format_call(call)
    yield from _format_rules(preview.calls, in_force, new)
    failed = sum(bool(call.error) for call in preview.calls)
    changed = sum(bool(call.moved) for call in preview.calls)
    counts = Counter(item.change for call in preview.calls for item in call.moved)
    yield (
        f"calls by release {preview.release}: {changed} of {len(preview.calls)} change, {failed} fail; "
        f"items: {', '.join(f'{counts[change]} {change.verb}' for change in Change)}"
    )
    if recorded.others:
        yield f"not made, as no rule applies to them: {recorded.others}"
    if recorded.left_out:
        yield f"not made, as the limit is {MAX_CALLS} calls: {recorded.left_out}"


def _format_call(call: CallPreview) -> Iterator[str]:
    title = f"call {call.call.number}, {call.call.request.DESCRIPTOR.name.removesuffix('Request')}"
    if call.error:
        yield f"{title}: error: {' '.join(call.error.split())}"
    elif call.moved:
        yield title
        direct = [item for item in call.moved if item.rules or item.change in {Change.LEAVES, Change.ENTERS}]
        yield from map(_format_item, direct)
        if others := len(call.moved) - len(direct):
            yield f"  {others} others make room or move up"


def _format_item(item: MovedItem) -> str:
    places = f"{item.before or '-'} → {item.after or '-'}"
    title = " ".join(item.title.split())
    shown = title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"
    otherwise = "makes room" if item.after is None else "takes a free place"
    return f"  {item.change:<6} {places:>9}  {item.item_id}  {shown}  ({', '.join(item.rules) or otherwise})"


def _format_rules(calls: Sequence[CallPreview], in_force: Sequence[Rule], new: Sequence[Rule]) -> Iterator[str]:
    """Format a line for each rule that is added, changed or removed, also for those that do nothing."""
    reached = Counter(name for call in calls for name in {name for item in call.moved for name in item.rules})
    old = {rule.name: rule for rule in in_force}
    kept = {rule.name for rule in new}
    changed = [(rule.name, "changed" if rule.name in old else "new") for rule in new if old.get(rule.name) != rule]
    changed += [(name, "removed") for name in old if name not in kept]
    for name, kind in changed:
        yield f"{name:<24} {kind:<8} moves items of {reached[name]} of {len(calls)} calls"
