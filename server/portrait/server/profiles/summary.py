"""The summary: what the fields of a profile say, in English and Chinese. It claims nothing that no field says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portrait.features.profiles.absence import Absence, Reason
from portrait.features.profiles.evidence import MOST_EVIDENCE
from portrait.features.profiles.interests import Interest
from portrait.features.profiles.prices import PriceBand
from portrait.features.profiles.words import WeightedKeyword
from portrait.server.profiles.aversions import Aversion
from portrait.server.profiles.brands import BrandAffinity
from portrait.server.profiles.cycles import PurchaseCycle
from portrait.server.profiles.discounts import DiscountSensitivity
from portrait.server.profiles.queries import Outcome, QueryIntent
from portrait.server.profiles.rhythm import Rhythm
from portrait.server.profiles.sessions import SessionIntent, Stage
from portrait.server.profiles.value import Segment, Tier, Value

_NAMED = 3
"""Categories, brands or queries that a sentence names."""
_SURE = 0.8
"""A confidence that is a probability must be so high to be told."""
_EVERYBODY = 0.9
"""An interest that has so much of all shoppers' attention tells nobody from others."""
_TREND, _STEADY = 0.5, 0.1
"""A trend is told from here on, of an interest whose greater weight is at least so large."""
_CHEAP, _DEAR = 0.35, 0.65
_DUE = 0.5
_DISCOUNTED = 0.75
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_ZH = "一二三四五六日"

_STAGES = {
    Stage.BROWSING: ("looked around", "浏览"),
    Stage.SEARCHING: ("searched", "搜索"),
    Stage.COMPARING: ("compared items", "比较商品"),
    Stage.CART: ("filled the cart", "加购"),
    Stage.BOUGHT: ("bought", "购买"),
}
_TIERS = {
    Tier.TOP: ("Among the most valuable shoppers", "属于最有价值的顾客"),
    Tier.HIGH: ("Of high value", "价值较高"),
    Tier.MIDDLE: ("Of middling value", "价值中等"),
    Tier.LOW: ("Of low value so far", "目前价值较低"),
}
_SEGMENTS = {
    Segment.LOYAL: ("loyal", "忠诚顾客"),
    Segment.OCCASIONAL: ("an occasional buyer", "偶尔购买"),
    Segment.NEW: ("new", "新顾客"),
    Segment.AT_RISK: ("used to buy often and may be leaving", "曾经常购买，可能正在流失"),
    Segment.DORMANT: ("dormant", "沉睡顾客"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence."""

    field: str
    """Field of the profile that it says in words."""
    english: str
    chinese: str
    evidence_event_ids: tuple[str, ...]


def summary(parts: Mapping[str, Any]) -> list[Sentence]:
    """Sentences on the fields that are there.

    Args:
        parts: values of a profile by field; an absent field is missing, or an `Absence`.
    """
    says = _SAYS if _sells(parts.get("value")) else _SAYS | {"recent_queries": (list, _asked)}
    said = [
        sentence
        for field, (kind, say) in says.items()
        if isinstance(value := parts.get(field), kind)
        for sentence in say(value)
    ]
    keywords, interests = parts.get("keywords"), parts.get("interests")
    if isinstance(keywords, list):
        said.extend(_keywords(keywords, interests if isinstance(interests, list) else []))
    return said


def _interests(interests: Sequence[Interest]) -> Iterator[Sentence]:
    observed = [each for each in _narrowest(interests) if (each.usual_weight or 0.0) < _EVERYBODY]
    if named := observed[:_NAMED]:
        shares = [f"{_name(each.path)} ({each.weight:.0%})" for each in named]
        yield _sentence(
            "interests", f"Cares most for {_and(shares)}.", f"最关注{_chinese(shares)}。", named
        )  # fmt: skip
    changed = [each for each in observed if max(each.short_weight, each.long_weight) >= _STEADY]
    for rising, english, chinese in ((1, "Turns to", "近期转向"), (-1, "Turns away of late from", "近期减少")):
        if named := [each for each in changed if each.trend * rising >= _TREND][:_NAMED]:
            names = [_name(each.path) for each in named]
            yield _sentence("interests", f"{english} {_and(names)}.", f"{chinese}{_chinese(names)}。", named)
    if named := [each for each in interests if each.inferred][:_NAMED]:
        lifts = [f"{_name(each.path)} ({each.lift:.0f}×)" for each in named]
        yield _sentence(
            "interests",
            f"Has not met, but is likelier than others to want next: {', '.join(lifts)}.",
            f"尚未接触、但比其他顾客更可能需要：{_chinese(lifts)}。",
            named,
        )


def _narrowest(interests: Sequence[Interest]) -> list[Interest]:
    """The observed ones with none of the others below them."""
    observed = [each for each in interests if not each.inferred]
    above = {each.path[:depth] for each in observed for depth in range(1, len(each.path))}
    return [each for each in observed if each.path not in above]


def _keywords(keywords: Sequence[WeightedKeyword], interests: Sequence[Interest]) -> Iterator[Sentence]:
    """Words that no interest has in its name; sizes, as `355ml`, are not of note."""
    names = " ".join(name for each in interests for name in each.path).casefold()
    told = [each for each in keywords if each.word.casefold() not in names and not each.word[0].isdigit()]
    if named := told[: 2 * _NAMED]:
        words = [each.word for each in named]
        yield _sentence("keywords", f"Words of note: {', '.join(words)}.", f"关键词：{'、'.join(words)}。", named)


def _aversions(aversions: Sequence[Aversion]) -> Iterator[Sentence]:
    above = {each.path[:depth] for each in aversions for depth in range(1, len(each.path))}
    named = [each for each in aversions if each.path not in above][:_NAMED]
    names = [_name(each.path) for each in named]
    yield _sentence("aversions", f"Was let down by {_and(names)}.", f"对{_chinese(names)}不满意。", named)


def _brands(brands: Sequence[BrandAffinity]) -> Iterator[Sentence]:
    if named := [each for each in brands if each.confidence >= _SURE][:_NAMED]:
        lifts = [f"{each.brand} ({each.lift:.1f}×)" for each in named]
        yield _sentence(
            "brands", f"Prefers {_and(lifts)} against other shoppers of the same categories.",
            f"与同类顾客相比更偏爱{_chinese(lifts)}。", named,
        )  # fmt: skip


def _prices(bands: Sequence[PriceBand]) -> Iterator[Sentence]:
    deep = max((len(each.category_path) for each in bands), default=1) > 1  # then wide categories are mixtures
    told = [each for each in bands if len(each.category_path) > deep]
    named = [each for each in told if not _CHEAP < each.percentile < _DEAR][:_NAMED]
    for cheap, english, chinese in ((True, "less", "低于"), (False, "more", "高于")):
        if chosen := [each for each in named if (each.percentile <= _CHEAP) is cheap]:
            prices = [f"{_name(each.category_path)} (about {_price(each.median)})" for each in chosen]
            prices_zh = [f"{_name(each.category_path)}（约{_price(each.median)}）" for each in chosen]
            yield _sentence(
                "price_bands",
                f"Pays {english} than most for {_and(prices)}.",
                f"购买{_chinese(prices_zh)}的价格{chinese}多数顾客。",
                chosen,
            )


def _price(price: float) -> str:
    """With cents, or, where it is less, with two digits that say something."""
    return f"{price:,.2f}" if price >= 0.01 or not price else f"{price:.2g}"


def _discount(discount: DiscountSensitivity) -> Iterator[Sentence]:
    if discount.percentile >= _DISCOUNTED:
        share, mean = f"{discount.discounted_share:.0%}", f"{discount.mean_discount:.0%}"
        yield Sentence(
            "discount_sensitivity",
            f"Waits for discounts: {share} of purchases are below the usual price, by {mean} on average.",
            f"偏好折扣：{share}的购买低于平常价，平均便宜{mean}。",
            discount.evidence_event_ids,
        )
    elif discount.percentile <= 1.0 - _DISCOUNTED:
        yield Sentence(
            "discount_sensitivity",
            f"Seldom buys on discount ({discount.discounted_share:.0%} of purchases).",
            f"很少在折扣时购买（占{discount.discounted_share:.0%}）。",
            discount.evidence_event_ids,
        )


def _session(session: SessionIntent) -> Iterator[Sentence]:
    english, chinese = _STAGES[session.stage]
    names = [_name(each.path) for each in session.focus[:_NAMED]]
    about, about_zh = (f": {_and(names)}", f"：{_chinese(names)}") if names else ("", "")
    when = ("Is in a session and has", "正在访问，已") if session.active else ("In the last session", "最近一次访问中")
    queries = f", after {_quoted(session.queries[0])}" if session.queries else ""
    queries_zh = f"，搜索过“{session.queries[0]}”" if session.queries else ""
    yield Sentence(
        "session",
        f"{when[0]} {english}{about}{queries} ({_date(session.started_at)}).",
        f"{when[1]}{chinese}{about_zh}{queries_zh}（{_date_zh(session.started_at)}）。",
        session.evidence_event_ids,
    )


def _sells(value: Any) -> bool:
    """Whether purchases are recorded, so that none says something."""
    return not (isinstance(value, Absence) and value.reason in {Reason.NO_STATISTICS, Reason.NOT_RECORDED})


def _asked(queries: Sequence[QueryIntent]) -> Iterator[Sentence]:
    """Where no purchases are recorded."""
    typed = [each.query for each in queries[:_NAMED]]
    english, chinese = _and([_quoted(each) for each in typed]), "、".join(f"“{each}”" for each in typed)
    yield _sentence("recent_queries", f"Asked for {english}.", f"搜索了{chinese}。", queries[:_NAMED])


def _queries(queries: Sequence[QueryIntent]) -> Iterator[Sentence]:
    if open_ := [each for each in queries if each.outcome is not Outcome.BOUGHT][:_NAMED]:
        typed = [each.query for each in open_]
        yield _sentence(
            "recent_queries",
            f"Asked for {_and([_quoted(each) for each in typed])} without buying.",
            f"搜索了{'、'.join(f'“{each}”' for each in typed)}但没有购买。",
            open_,
        )


def _cycles(cycles: Sequence[PurchaseCycle]) -> Iterator[Sentence]:
    if due := [each for each in cycles if each.due_probability >= _DUE][:_NAMED]:
        days = f"{due[0].horizon_days:.0f}"
        english = [f"{_name(each.path)} ({each.due_probability:.0%}; about every {_days(each)})" for each in due]
        chinese = [
            f"{_name(each.path)}（{each.due_probability:.0%}，约每{max(1, round(each.interval_days))}天）"
            for each in due
        ]
        yield _sentence(
            "purchase_cycles",
            f"Likely to buy again within {days} days: {', '.join(english)}.",
            f"{days}天内可能再次购买：{_chinese(chinese)}。",
            due,
        )


def _days(each: PurchaseCycle) -> str:
    days = max(1, round(each.interval_days))
    return "day" if days == 1 else f"{days} days"


def _value(value: Value) -> Iterator[Sentence]:
    (english, chinese), (segment, segment_zh) = _TIERS[value.tier], _SEGMENTS[value.segment]
    spent = "" if value.monetary is None else f", {value.monetary:,.2f} spent"
    spent_zh = "" if value.monetary is None else f"，消费{value.monetary:,.2f}"
    window, last = round(value.window_days), int(value.recency_days)
    yield Sentence(
        "value",
        f"{english}, {segment}: bought on {value.frequency} {'day' if value.frequency == 1 else 'days'} of the last "
        f"{window}{spent}; the last purchase was {_ago(last)}.",
        f"{chinese}，{segment_zh}：最近{window}天内有{value.frequency}天购买{spent_zh}；上次购买{_ago_zh(last)}。",
        value.evidence_event_ids,
    )


def _ago(days: int) -> str:
    return "today" if days == 0 else "a day ago" if days == 1 else f"{days} days ago"


def _ago_zh(days: int) -> str:
    return "就在今天" if days == 0 else f"在{days}天前"


def _rhythm(rhythm: Rhythm) -> Iterator[Sentence]:
    if not rhythm.peak_weekdays and not rhythm.peak_hours:
        return
    days, hours = rhythm.peak_weekdays, sorted(rhythm.peak_hours)
    english = [f"on {_and([f'{_DAYS[day - 1]}s' for day in days])}"] if days else []
    english += [f"around {_and([f'{hour}:00' for hour in hours])}"] if hours else []
    chinese = "、".join([*(f"星期{_DAYS_ZH[day - 1]}" for day in days), *(f"{hour}点" for hour in hours)])
    yield Sentence(
        "rhythm",
        f"Is active mostly {', '.join(english)}.",
        f"主要活跃时间：{chinese}。",
        rhythm.evidence_event_ids,
    )  # fmt: skip


def _sentence(field: str, english: str, chinese: str, said: Sequence[Any]) -> Sentence:
    """A sentence on several statements; each brings its strongest evidence in turn."""
    cited = [each.evidence_event_ids for each in said]
    longest = max(map(len, cited), default=0)
    turns = (ids[turn] for turn in range(longest) for ids in cited if turn < len(ids))
    return Sentence(field, english, chinese, tuple(dict.fromkeys(turns))[:MOST_EVIDENCE])


def _name(path: Sequence[str]) -> str:
    """The narrowest category with the one above it: alone, many a name says little, or something else."""
    return " › ".join(path[-2:])


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _chinese(names: Sequence[str]) -> str:
    return "、".join(names)


def _quoted(query: str) -> str:
    return f"“{query}”"


def _date(time: datetime) -> str:
    return f"{time.day} {time:%B %Y}"


def _date_zh(time: datetime) -> str:
    return f"{time.year}年{time.month}月{time.day}日"


_SAYS: dict[str, tuple[type, Callable[[Any], Iterator[Sentence]]]] = {
    "interests": (list, _interests),
    "value": (Value, _value),
    "session": (SessionIntent, _session),
    "recent_queries": (list, _queries),
    "purchase_cycles": (list, _cycles),
    "brands": (list, _brands),
    "price_bands": (list, _prices),
    "discount_sensitivity": (DiscountSensitivity, _discount),
    "aversions": (list, _aversions),
    "rhythm": (Rhythm, _rhythm),
}
"""In the order of the summary; the keywords come last."""
SOURCES = (*_SAYS, "keywords")
"""The fields that a summary is made of."""
