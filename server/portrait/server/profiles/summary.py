"""The summary of a profile in English and Chinese. Every sentence restates a field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.keywords import WeightedKeyword
from portrait.features.profiles.price_bands import PriceBand
from portrait.features.profiles.sentences import (
    MAX_NAMES,
    MIN_CONFIDENCE,
    Certainty,
    Sentence,
    build_sentence,
    format_ago_chinese,
    format_ago_english,
    format_date_chinese,
    format_date_english,
    format_price,
    join_chinese,
    join_english,
    quote_query,
    rate_certainty,
    short_name,
)
from portrait.server.profiles.activity_pattern import ActivityPattern
from portrait.server.profiles.aversions import Aversion
from portrait.server.profiles.brands import BrandAffinity
from portrait.server.profiles.customer_value import CustomerValue, ValueSegment, ValueTier
from portrait.server.profiles.discount_sensitivity import DiscountSensitivity
from portrait.server.profiles.interest_sentences import describe_interests
from portrait.server.profiles.purchase_cycles import PurchaseCycle
from portrait.server.profiles.recent_queries import QueryIntent, QueryOutcome
from portrait.server.profiles.session_intent import SessionIntent, SessionStage

_MIN_PROBABILITY = 0.8
"""Minimum confidence to mention, where confidence is a probability."""
_MAX_LOW_PERCENTILE, _MIN_HIGH_PERCENTILE = 0.35, 0.65
_MIN_PRICE_CONFIDENCE = 0.5
"""Minimum confidence of a price band for wording without `seems`."""
_MIN_DUE_PROBABILITY = 0.5
_MIN_DISCOUNT_PERCENTILE = 0.75
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS_CHINESE = "一二三四五六日"

_STAGES = {
    SessionStage.BROWSING: ("looked around", "浏览"),
    SessionStage.SEARCHING: ("searched", "搜索"),
    SessionStage.COMPARING: ("compared items", "比较商品"),
    SessionStage.CART: ("filled the cart", "加购"),
    SessionStage.PURCHASED: ("bought", "购买"),
}
_TIERS = {
    ValueTier.TOP: ("Among the most valuable shoppers", "属于最有价值的顾客"),
    ValueTier.HIGH: ("Of high value", "价值较高"),
    ValueTier.MIDDLE: ("Of middling value", "价值中等"),
    ValueTier.LOW: ("Of low value so far", "目前价值较低"),
}
_SEGMENTS = {
    ValueSegment.LOYAL: ("loyal", "忠诚顾客"),
    ValueSegment.OCCASIONAL: ("an occasional buyer", "偶尔购买"),
    ValueSegment.NEW: ("new", "新顾客"),
    ValueSegment.AT_RISK: ("used to buy often and may be leaving", "曾经常购买，可能正在流失"),
    ValueSegment.DORMANT: ("dormant", "沉睡顾客"),
}


def summarise_profile(parts: Mapping[str, Any]) -> list[Sentence]:
    """Sentences on the fields that are there.

    Args:
        parts: values of a profile by field; an absent field is missing, or an `Absence`.
    """
    says = (
        _SENTENCES
        if _records_purchases(parts.get("customer_value"))
        else _SENTENCES | {"recent_queries": (list, _describe_queries_only)}
    )
    said = [
        sentence
        for field, (kind, say) in says.items()
        if isinstance(value := parts.get(field), kind)
        for sentence in say(value)
    ]
    if isinstance(keywords := parts.get("keywords"), list):
        said.extend(_describe_keywords(keywords, _join_names(parts)))
    return said


def _join_names(parts: Mapping[str, Any]) -> str:
    """The names of interests and preferred brands, which other sentences tell."""
    interests, brands = parts.get("interests"), parts.get("brands")
    paths = [each.category_path for each in interests] if isinstance(interests, list) else []
    told = [each.brand for each in brands if each.confidence >= _MIN_PROBABILITY] if isinstance(brands, list) else []
    return " ".join([*(name for path in paths for name in path), *told]).casefold()


def _describe_keywords(keywords: Sequence[WeightedKeyword], names: str) -> Iterator[Sentence]:
    """Words that no name has."""
    told = [each for each in keywords if each.word.casefold() not in names and rate_certainty(each.confidence)]
    if named := told[: 2 * MAX_NAMES]:
        words = [each.word for each in named]
        yield build_sentence("keywords", f"Words of note: {', '.join(words)}.", f"关键词：{'、'.join(words)}。", named)


def _describe_aversions(aversions: Sequence[Aversion]) -> Iterator[Sentence]:
    above = {each.category_path[:depth] for each in aversions for depth in range(1, len(each.category_path))}
    narrowest = [each for each in aversions if each.category_path not in above]
    for levels, english, maybe in (
        ({Certainty.SURE, Certainty.LIKELY}, "Was let down by", ""),
        ({Certainty.FAINT}, "May not like", "可能"),
    ):
        if named := [each for each in narrowest if rate_certainty(each.confidence) in levels][:MAX_NAMES]:
            names = [short_name(each.category_path) for each in named]
            chinese = f"{maybe}对{join_chinese(names)}不满意。"
            yield build_sentence("aversions", f"{english} {join_english(names)}.", chinese, named)


def _describe_brands(brands: Sequence[BrandAffinity]) -> Iterator[Sentence]:
    if named := [each for each in brands if each.confidence >= _MIN_PROBABILITY][:MAX_NAMES]:
        lifts = [f"{each.brand} ({each.lift:.1f}×)" for each in named]
        yield build_sentence(
            "brands", f"Prefers {join_english(lifts)} against other shoppers of the same categories.",
            f"与同类顾客相比更偏爱{join_chinese(lifts)}。", named,
        )  # fmt: skip


def _describe_price_bands(bands: Sequence[PriceBand]) -> Iterator[Sentence]:
    deep = max((len(each.category_path) for each in bands), default=1) > 1  # then wide categories are mixtures
    told = [each for each in bands if len(each.category_path) > deep]
    named = [each for each in told if not _MAX_LOW_PERCENTILE < each.percentile < _MIN_HIGH_PERCENTILE][:MAX_NAMES]
    for cheap, english, chinese in ((True, "less", "低于"), (False, "more", "高于")):
        for sure, pays, seems in ((True, "Pays", ""), (False, "Seems to pay", "似乎")):
            chosen = [
                each
                for each in named
                if (each.percentile <= _MAX_LOW_PERCENTILE, each.confidence >= _MIN_PRICE_CONFIDENCE) == (cheap, sure)
            ]
            if not chosen:
                continue
            prices = [f"{short_name(each.category_path)} (about {format_price(each.median)})" for each in chosen]
            prices_zh = [f"{short_name(each.category_path)}（约{format_price(each.median)}）" for each in chosen]
            yield build_sentence(
                "price_bands",
                f"{pays} {english} than most for {join_english(prices)}.",
                f"购买{join_chinese(prices_zh)}的价格{seems}{chinese}多数顾客。",
                chosen,
            )


def _describe_discount_sensitivity(discount: DiscountSensitivity) -> Iterator[Sentence]:
    if discount.percentile >= _MIN_DISCOUNT_PERCENTILE:
        share, mean = f"{discount.discounted_share:.0%}", f"{discount.mean_discount:.0%}"
        yield Sentence(
            "discount_sensitivity",
            f"Waits for discounts: {share} of purchases are below the usual price, by {mean} on average.",
            f"偏好折扣：{share}的购买低于平常价，平均便宜{mean}。",
            discount.evidence_event_ids,
        )
    elif discount.percentile <= 1.0 - _MIN_DISCOUNT_PERCENTILE:
        yield Sentence(
            "discount_sensitivity",
            f"Seldom buys on discount ({discount.discounted_share:.0%} of purchases).",
            f"很少在折扣时购买（占{discount.discounted_share:.0%}）。",
            discount.evidence_event_ids,
        )


def _describe_session(session: SessionIntent) -> Iterator[Sentence]:
    english, chinese = _STAGES[session.stage]
    names = [short_name(each.category_path) for each in session.categories[:MAX_NAMES]]
    about, about_zh = (f": {join_english(names)}", f"：{join_chinese(names)}") if names else ("", "")
    if len(session.categories) > 1 and session.stage in {
        SessionStage.CART,
        SessionStage.PURCHASED,
    }:  # not all of it was put there
        about = f"; the visit {'is' if session.active else 'was'} to {join_english(names)}"
        about_zh = f"，浏览涉及{join_chinese(names)}"
    when = ("Is in a session and has", "正在访问，已") if session.active else ("In the last session", "最近一次访问中")
    queries = f", after {quote_query(session.queries[0])}" if session.queries else ""
    queries_zh = f"，搜索过“{session.queries[0]}”" if session.queries else ""
    yield Sentence(
        "session",
        f"{when[0]} {english}{about}{queries} ({format_date_english(session.started_at)}).",
        f"{when[1]}{chinese}{about_zh}{queries_zh}（{format_date_chinese(session.started_at)}）。",
        session.evidence_event_ids,
    )


def _records_purchases(value: Any) -> bool:
    """Tell whether purchases are recorded, so that their absence is meaningful."""
    return not (
        isinstance(value, Absence) and value.reason in {AbsenceReason.NO_STATISTICS, AbsenceReason.NOT_RECORDED}
    )


def _describe_queries_only(queries: Sequence[QueryIntent]) -> Iterator[Sentence]:
    """Describe queries where no purchases are recorded."""
    typed = [each.query for each in queries[:MAX_NAMES]]
    english, chinese = join_english([quote_query(each) for each in typed]), "、".join(f"“{each}”" for each in typed)
    yield build_sentence("recent_queries", f"Asked for {english}.", f"搜索了{chinese}。", queries[:MAX_NAMES])


def _describe_open_queries(queries: Sequence[QueryIntent]) -> Iterator[Sentence]:
    if open_ := [each for each in queries if each.outcome is not QueryOutcome.PURCHASED][:MAX_NAMES]:
        typed = [each.query for each in open_]
        yield build_sentence(
            "recent_queries",
            f"Asked for {join_english([quote_query(each) for each in typed])} without buying.",
            f"搜索了{'、'.join(f'“{each}”' for each in typed)}但没有购买。",
            open_,
        )


def _describe_purchase_cycles(cycles: Sequence[PurchaseCycle]) -> Iterator[Sentence]:
    if due := [each for each in cycles if each.due_probability >= _MIN_DUE_PROBABILITY][:MAX_NAMES]:
        days = f"{due[0].horizon_days:.0f}"
        english = [
            f"{short_name(each.category_path)} ({each.due_probability:.0%}; about every {_format_interval(each)})"
            for each in due
        ]
        chinese = [
            f"{short_name(each.category_path)}（{each.due_probability:.0%}，约每{max(1, round(each.interval_days))}天）"
            for each in due
        ]
        yield build_sentence(
            "purchase_cycles",
            f"Likely to buy again within {days} days: {', '.join(english)}.",
            f"{days}天内可能再次购买：{join_chinese(chinese)}。",
            due,
        )


def _format_interval(each: PurchaseCycle) -> str:
    days = max(1, round(each.interval_days))
    return "day" if days == 1 else f"{days} days"


def _describe_customer_value(value: CustomerValue) -> Iterator[Sentence]:
    (english, chinese), (segment, segment_zh) = _TIERS[value.tier], _SEGMENTS[value.segment]
    if value.confidence < MIN_CONFIDENCE[Certainty.LIKELY]:  # too little of the window is known for a tier
        who, who_zh = f"{segment[0].upper()}{segment[1:]}", segment_zh
    else:
        who, who_zh = f"{english}, {segment}", f"{chinese}，{segment_zh}"
    window = f"{round(value.window_days):,}"
    spent = f", {format_price(value.monetary)} spent" if value.monetary else ""
    spent_zh = f"，消费{format_price(value.monetary)}" if value.monetary else ""
    bought = f"bought on {_format_days(value.frequency)} of the last {window}{spent}"
    bought_zh = f"有{value.frequency}天购买{spent_zh}"
    if not value.frequency:
        bought, bought_zh = f"bought nothing in the last {window} days", "没有购买"
    yield Sentence(
        "customer_value",
        f"{who}: {bought}; the last purchase was {format_ago_english(value.days_since_purchase)}.",
        f"{who_zh}：最近{round(value.window_days)}天内{bought_zh}；上次购买{format_ago_chinese(value.days_since_purchase)}。",
        value.evidence_event_ids,
    )


def _format_days(count: int) -> str:
    return f"{count:,} {'day' if count == 1 else 'days'}"


def _describe_activity_pattern(rhythm: ActivityPattern) -> Iterator[Sentence]:
    days = rhythm.peak_weekdays if rhythm.confidence >= _MIN_PROBABILITY else ()  # it is the weekdays' confidence
    hours = sorted(rhythm.peak_hours)
    if not days and not hours:
        return
    english = [f"on {join_english([f'{_WEEKDAYS[day - 1]}s' for day in days])}"] if days else []
    english += [f"around {join_english([f'{hour}:00' for hour in hours])}"] if hours else []
    chinese = "、".join([*(f"星期{_WEEKDAYS_CHINESE[day - 1]}" for day in days), *(f"{hour}点" for hour in hours)])
    yield Sentence(
        "activity_pattern",
        f"Is active mostly {', '.join(english)}.",
        f"主要活跃时间：{chinese}。",
        rhythm.evidence_event_ids,
    )  # fmt: skip


_SENTENCES: dict[str, tuple[type, Callable[[Any], Iterator[Sentence]]]] = {
    "interests": (list, describe_interests),
    "customer_value": (CustomerValue, _describe_customer_value),
    "session": (SessionIntent, _describe_session),
    "recent_queries": (list, _describe_open_queries),
    "purchase_cycles": (list, _describe_purchase_cycles),
    "brands": (list, _describe_brands),
    "price_bands": (list, _describe_price_bands),
    "discount_sensitivity": (DiscountSensitivity, _describe_discount_sensitivity),
    "aversions": (list, _describe_aversions),
    "activity_pattern": (ActivityPattern, _describe_activity_pattern),
}
"""In the order of the summary; the keywords come last."""
SUMMARISED_FIELDS = (*_SENTENCES, "keywords")
"""The fields that a summary is made of."""
