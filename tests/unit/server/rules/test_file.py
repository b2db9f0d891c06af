"""The file of rules: what it may say, and what is wrong with it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portrait.server.rules.file import Boost, Exclude, Pin, RulesError, read_rules

RULE = '[[rules]]\nname = "a"\naction = "exclude"\nitems.brands = ["Acme"]\n'


def write(folder: Path, content: str) -> Path:
    (folder / "rules.toml").write_text(content, encoding="utf-8")
    return folder / "rules.toml"


def test_rules_are_read_in_their_order(tmp_path: Path) -> None:
    content = """
        [[rules]]
        name = "no-wine-beside-diapers"
        action = "exclude"
        items.categories = [["Drinks", "Wine"], ["Drinks", "Beer"]]
        when.query_words = ["diapers"]
        valid_from = 2026-01-01
        valid_until = 2026-12-24T18:00:00+01:00

        [[rules]]
        name = "own-brand"
        action = "boost"
        amount = 0.5
        items.brands = ["Own"]
        items.max_price = 20

        [[rules]]
        name = "hero"
        action = "pin"
        items.item_ids = ["b", "a"]
    """
    exclude, boost, pin = read_rules(write(tmp_path, content))
    assert isinstance(exclude, Exclude)
    assert exclude.items.categories == (("Drinks", "Wine"), ("Drinks", "Beer"))
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 24, 17, tzinfo=UTC)
    moment = timedelta(microseconds=1)
    valid = [exclude.is_valid_at(time) for time in (start - moment, start, end - moment, end)]
    assert valid == [False, True, True, False]
    assert isinstance(boost, Boost)
    assert (boost.amount, boost.items.max_price) == (0.5, 20.0)
    assert isinstance(pin, Pin)
    assert (pin.position, pin.items.item_ids) == (1, ("b", "a"))
    assert read_rules(write(tmp_path, "")) == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[[rules", "Expected"),
        ("x = 1", "x: Extra inputs are not permitted"),
        (RULE + "amount = 1", "rule 0.exclude.amount: Extra inputs are not permitted"),
        (RULE + RULE, "two rules have the name a"),
        (RULE.replace('"a"', '"A b"'), "rule 0.exclude.name: String should match pattern"),
        (RULE.replace('"exclude"', '"hide"'), "rule 0: Input tag 'hide' found using 'action' does not match"),
        (RULE.replace('items.brands = ["Acme"]', "items = {}"), "name item_ids, categories, brands, min_price or"),
        (RULE.replace("exclude", "boost") + "amount = 21", "rule 0.boost.amount: Input should be less than or equal"),
        (RULE.replace("exclude", "exclude_bought") + "days = 0", "rule 0.exclude_bought.days: Input should be greater"),
        (RULE.replace("exclude", "limit") + "count = -1", "rule 0.limit.count: Input should be greater"),
        (RULE.replace("exclude", "diversify") + "amount = 1", "rule 0.diversify.items: Extra inputs are not permitted"),
        ('[[rules]]\nname = "a"\naction = "diversify"\namount = 0', "rule 0.diversify.amount: Input should be greater"),
        (RULE.replace("exclude", "pin"), "items takes 1 to 20 item_ids, and nothing else"),
        (RULE + 'valid_from = "soon"', "rule 0.exclude.valid_from: Input should be a valid datetime"),
        (RULE + "valid_from = 2026-01-02\nvalid_until = 2026-01-01", "valid_until is not after valid_from"),
        (RULE + "items.min_price = nan", "items.min_price"),
    ],
)
def test_a_wrong_rule_is_named_with_the_limit(tmp_path: Path, content: str, why: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RulesError) as raised:
        read_rules(path)
    assert str(raised.value).startswith(f"rules: {path}: ")
    assert why in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"none\.toml: No such file"):
        read_rules(tmp_path / "none.toml")
