"""The shop's rules in a gateway that serves: a change holds at once, also for responses that were kept."""

from pathlib import Path

from support.command_line import run_portrait
from support.files import replace_text
from support.gateway import run_gateway

from portrait.client import Client, Event, EventType, Review, ReviewAction, ReviewTarget, ShelfKind

PIN = '[[rules]]\nname = "hero"\naction = "pin"\nitems.item_ids = ["wool-rug-blue"]\n'
EXCLUDE = '[[rules]]\nname = "no-rugs"\naction = "exclude"\nitems.item_ids = ["wool-rug-blue"]\n'
RELATE = (
    '[[rules]]\nname = "rug-as-a-gift"\naction = "relate"\nkind = "complement"\nitems.item_ids = ["gift-card"]\n'
    'other_items.item_ids = ["wool-rug-blue"]\n'
)
HISTORY = [Event(EventType.VIEW, item_id="desk-lamp-red")]


def test_rules_are_followed_and_changed(repository: Path, shared_triton: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(PIN, encoding="utf-8")
    options = (*shared_triton, "--rules", str(path))
    with run_gateway(repository, tmp_path, *options) as gateway, Client(gateway.address) as client:
        for _ in range(2):  # computed, then kept
            first = client.recommend(HISTORY).items[0]
            assert (first.item.item_id, first.rules) == ("wool-rug-blue", ("hero",))
        hero = ReviewTarget(rule="hero", all_shoppers=True)
        client.set_review(Review(hero, ReviewAction.BLOCK, reviewed_by="ana"))
        blocked = client.recommend(HISTORY)
        assert (blocked.items[0].rules, blocked.reviewed_by) == ((), ("ana",))
        client.remove_review(hero)
        assert client.recommend(HISTORY).items[0].rules == ("hero",)
        replace_text(path, EXCLUDE)
        gateway.lines("rules_reloaded")
        assert "wool-rug-blue" not in [each.item.item_id for each in client.recommend(HISTORY, k=50).items]
        shelf = client.get_shelf("nobody", ShelfKind.SIMILAR_ITEMS, ["wool-rug-red"], k=50)
        assert "wool-rug-blue" not in [each.item.item_id for each in shelf.items]
        replace_text(path, RELATE)
        gateway.lines("rules_reloaded", 2)
        [shown] = client.get_shelf("nobody", ShelfKind.FREQUENTLY_BOUGHT_TOGETHER, ["gift-card"]).items
        assert (shown.item.item_id, shown.rules) == ("wool-rug-blue", ("rug-as-a-gift",))
        replace_text(path, EXCLUDE)
        gateway.lines("rules_reloaded", 3)
        replace_text(path, "[[rules]]")
        assert "rule 0" in gateway.line("rules_reload_failed")["reason"]
        assert "wool-rug-blue" not in [each.item.item_id for each in client.recommend(HISTORY, k=50).items]


CALLS = """
{"calls": [
  {"method": "portrait.v1.RecommendationService/Recommend", "request": {
    "shopper": {"history": {"events": [{"type": "EVENT_TYPE_VIEW", "item_id": "desk-lamp-red"}]}}, "k": 5}},
  {"method": "portrait.v1.ProfileService/GetProfile", "request": {"shopper": {"shopper_id": "secret-id"}}},
  {"method": "portrait.v1.RecommendationService/Recommend", "request": {
    "shopper": {"shopper_id": "secret-id"}, "catalogue": "none"}},
  {"method": "portrait.v1.RecommendationService/GetShelf", "request": {
    "shopper": {"shopper_id": "secret-id"}, "kind": "SHELF_KIND_FREQUENTLY_BOUGHT_TOGETHER", "item_ids": ["gift-card"]}}
]}
"""


def test_a_dry_run_tells_what_new_rules_change(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    old, new, calls, state = (tmp_path / name for name in ("old.toml", "new.toml", "calls.json", "state.db"))
    old.write_text(EXCLUDE, encoding="utf-8")
    new.write_text(PIN + RELATE, encoding="utf-8")
    calls.write_text(CALLS, encoding="utf-8")
    options = ("--repository", repository, "--state", state, *shared_triton)
    done = run_portrait("rules", "check", new, "--rules", old, "--requests", calls, *options)
    assert done.code == 0, done
    first, entered, left, moved, missing, shelf, related, *rules, sums, others = done.stdout.splitlines()
    assert (first, missing, shelf) == (
        "call 1, Recommend", "call 3, Recommend: error: catalogue: there is no such catalogue", "call 4, GetShelf",
    )  # fmt: skip
    shown = sorted([entered, left])
    assert shown[0].split()[:4] == ["enters", "-", "→", "1"]
    assert shown[0].endswith("wool-rug-blue  Blue wool rug  (hero, no-rugs)")
    assert shown[1].split()[:4] == ["leaves", "5", "→", "-"]
    assert shown[1].endswith("(makes room)")
    assert moved == "  4 others make room or move up"
    assert related.split()[:5] == ["enters", "-", "→", "1", "wool-rug-blue"]
    assert related.endswith("(hero, rug-as-a-gift, no-rugs)")
    assert [" ".join(line.split()) for line in rules] == [
        "hero new moves items of 2 of 3 calls",
        "rug-as-a-gift new moves items of 1 of 3 calls",
        "no-rugs removed moves items of 2 of 3 calls",
    ]
    assert sums.startswith("calls by release 1: 2 of 3 change, 1 fail; items: 1 leave, 2 enter, 0 rise, 4 fall")
    assert others == "not made, as no rule applies to them: 1"
    assert "secret-id" not in done.stdout + done.stderr
    assert not state.exists()


def test_a_check_counts_the_items_of_each_rule(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(PIN + EXCLUDE + "valid_until = 2020-01-01\n", encoding="utf-8")
    done = run_portrait("rules", "check", path, "--repository", repository)
    assert done.code == 0, done
    hero, no_rugs, end = (line.split() for line in done.stdout.splitlines())
    assert hero == ["hero", "pin", "1", "items", "in", "force"]
    assert no_rugs == ["no-rugs", "exclude", "1", "items", "not", "in", "force"]
    assert end[:2] == ["2", "rules,"]
    path.write_text("[[rules]]", encoding="utf-8")
    done = run_portrait("rules", "check", path, "--repository", repository)
    assert (done.code, "rule 0" in done.stderr) == (2, True)
