"""Sentences on interests. They name the largest interest of the printed table, worded by its confidence."""

from collections.abc import Iterator, Sequence

from portrait.features.profiles.interests import Interest
from portrait.features.profiles.sentences import (
    MAX_NAMES,
    Certainty,
    Sentence,
    build_sentence,
    join_chinese,
    join_english,
    rate_certainty,
    short_name,
)

_UBIQUITOUS_WEIGHT = 0.9
"""An interest with this share of all shoppers' attention distinguishes nobody."""
MIN_SHARE = 0.05
"""Minimum share of the attention to mention."""
_MIN_FOCUSED_WEIGHT = 0.2
"""Minimum share of the attention for the wording `cares most for`."""
_MIN_TREND, _MIN_TREND_WEIGHT = 0.5, 0.1
"""Minimum trend to mention, and minimum of the larger weight of its interest."""
_MIN_INFERRED_PROBABILITY = 0.01
"""Minimum probability of an inferred interest to mention."""

_FOCUSED = {
    Certainty.SURE: ("Cares most for", "最关注"),
    Certainty.LIKELY: ("Seems to care most for", "似乎最关注"),
    Certainty.FAINT: ("Shows first signs of interest in", "初步显示出兴趣："),
}
_DIFFUSE = _FOCUSED | {
    Certainty.SURE: ("Cares for many things, a little more for", "兴趣广泛，略偏向"),
    Certainty.LIKELY: ("Seems to care for many things, a little more for", "似乎兴趣广泛，略偏向"),
}
_TRENDS = {
    (Certainty.SURE, 1): ("Turns to", "近期转向"),
    (Certainty.LIKELY, 1): ("Seems to turn to", "近期似乎转向"),
    (Certainty.SURE, -1): ("Turns away of late from", "近期减少"),
    (Certainty.LIKELY, -1): ("Seems to turn away of late from", "近期似乎减少"),
}


def describe_interests(interests: Sequence[Interest]) -> Iterator[Sentence]:
    """Sentences on what a shopper cares for, what changes, and what may come next.

    Args:
        interests: the strongest first.
    """
    observed = [each for each in interests if not each.inferred]
    yield from _describe_largest(_drop_redundant(observed))
    yield from _describe_trends([each for each in _select_narrowest(observed) if not _is_ubiquitous(each)])
    if named := [each for each in interests if each.inferred and each.confidence >= _MIN_INFERRED_PROBABILITY][
        :MAX_NAMES
    ]:
        lifts = [f"{short_name(each.category_path)} ({each.lift:.0f}×)" for each in named]
        yield build_sentence(
            "interests",
            f"Has not met, but is likelier than others to want next: {', '.join(lifts)}.",
            f"尚未接触、但比其他顾客更可能需要：{join_chinese(lifts)}。",
            named,
        )


def _describe_largest(shown: Sequence[Interest]) -> Iterator[Sentence]:
    """The largest interest with what it is made of, and those beside it."""
    named = _select_disjoint(shown)
    sure = rate_certainty(named[0].confidence) if named and named[0].weight >= MIN_SHARE else Certainty.NONE
    if sure is Certainty.NONE:
        return
    first, least = named[0], min(sure, Certainty.LIKELY)
    below = [each for each in _select_narrowest(shown) if _is_below(each, first) and _is_mentionable(each, least)][
        : MAX_NAMES - 1
    ]
    if _is_ubiquitous(first) and not below:
        return
    told = [first, *(each for each in named[1:] if _is_mentionable(each, least) and not _is_ubiquitous(each))][
        :MAX_NAMES
    ]
    english, chinese = (_FOCUSED if first.weight >= _MIN_FOCUSED_WEIGHT else _DIFFUSE)[sure]
    if _is_ubiquitous(first):
        english, chinese = (
            f"Like nearly all shoppers, {english[0].lower()}{english[1:]}",
            f"与几乎所有顾客一样，{chinese}",
        )
    parts = [f"{short_name(each.category_path[len(first.category_path) :])} {each.weight:.0%}" for each in below]
    within = f"; above all {join_english(parts)}" if parts else ""
    within_chinese = f"；其中以{join_chinese(parts)}为主" if parts else ""
    shares = [f"{short_name(each.category_path)} ({each.weight:.0%})" for each in told]
    yield build_sentence(
        "interests",
        f"{english} {join_english([f'{shares[0][:-1]}{within})', *shares[1:]])}.",
        f"{chinese}{join_chinese([f'{shares[0][:-1]}{within_chinese})', *shares[1:]])}。",
        [first, *below, *told[1:]],
    )


def _describe_trends(narrowest: Sequence[Interest]) -> Iterator[Sentence]:
    changed = [each for each in narrowest if max(each.short_term_weight, each.long_term_weight) >= _MIN_TREND_WEIGHT]
    for (sure, direction), (english, chinese) in _TRENDS.items():
        moved = [each for each in changed if each.trend * direction >= _MIN_TREND]
        if named := [each for each in moved if rate_certainty(each.confidence) is sure][:MAX_NAMES]:
            names = [short_name(each.category_path) for each in named]
            yield build_sentence(
                "interests", f"{english} {join_english(names)}.", f"{chinese}{join_chinese(names)}。", named
            )


def _drop_redundant(observed: Sequence[Interest]) -> list[Interest]:
    """Those that a table shows: without one whose whole weight is that of one below it."""
    return [
        each
        for each in observed
        if not any(_is_below(other, each) and other.weight == each.weight for other in observed)
    ]


def _select_disjoint(shown: Sequence[Interest]) -> list[Interest]:
    """The largest first, without those that lie below or above a larger one."""
    beside: list[Interest] = []
    for each in shown:
        if not any(_is_below(each, other) or _is_below(other, each) for other in beside):
            beside.append(each)
    return beside


def _select_narrowest(observed: Sequence[Interest]) -> list[Interest]:
    """Those with none of the others below them."""
    above = {each.category_path[:depth] for each in observed for depth in range(1, len(each.category_path))}
    return [each for each in observed if each.category_path not in above]


def _is_below(narrow: Interest, wide: Interest) -> bool:
    return (
        len(narrow.category_path) > len(wide.category_path)
        and narrow.category_path[: len(wide.category_path)] == wide.category_path
    )


def _is_mentionable(each: Interest, least: Certainty) -> bool:
    return each.weight >= MIN_SHARE and rate_certainty(each.confidence) >= least


def _is_ubiquitous(each: Interest) -> bool:
    return (each.population_weight or 0.0) >= _UBIQUITOUS_WEIGHT
