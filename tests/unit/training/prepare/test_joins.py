"""Ids that do not meet are counted, warned of and, where nothing meets, refused."""

import pytest
from support.prepared_data import Prepare, WriteLog

from portrait.training.errors import TrainingError

pytestmark = pytest.mark.slow


def events(*items: str, shoppers: str = "s", catalogue: str = "") -> str:
    lines = "".join(f"{shoppers},view,{item},{catalogue}\n" for item in items)
    return "shopper_id,type,item_id,catalogue\n" + lines


def catalogue(*items: str) -> str:
    return "item_id,title\n" + "".join(f"{item},title of {item}\n" for item in items)


def test_what_does_not_meet_is_counted_with_examples(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=events("a", "b", "b", "z"), items_csv=catalogue("a", "c", "d", "e"))
    report = prepare_log(folder).report
    joins = report.joins
    assert (joins.items_of_events, joins.items_listed) == (3, 4)
    assert (joins.unlisted_items, joins.events_of_unlisted_items, joins.unlisted_examples) == (2, 3, ["'b'", "'z'"])
    assert (joins.never_met_items, joins.never_met_examples) == (3, ["'c'", "'d'", "'e'"])
    assert joins.likely_cause is None
    assert [warning.split(" (e.g.")[0] for warning in report.warnings()] == [
        "2 of 3 items that events name are not in the catalogue, so their ids stand for their titles",
        "3 of 4 listed items are in no event",
    ]


@pytest.mark.parametrize(
    ("named", "listed", "cause"),
    [
        ("1001.0", "1001", "decimal point"),
        ("1001", "1001.0", "decimal point"),
        ("1001", "01001", "leading zeros"),
        ("ab-1", "AB-1", "upper and lower case"),
        ("ab 1", "ab1", "blanks"),
        ("AB_1", "ab-1", "punctuation"),
        ("x", "y", "events name 'x'"),
    ],
)
def test_a_catalogue_that_nothing_meets_is_refused_with_the_likely_cause(
    prepare_log: Prepare, write_log: WriteLog, named: str, listed: str, cause: str
) -> None:
    with pytest.raises(TrainingError, match=cause) as caught:
        prepare_log(write_log(events_csv=events(named), items_csv=catalogue(listed)))
    assert f"'{named}'" in str(caught.value)
    assert f"'{listed}'" in str(caught.value)


def test_one_cause_among_items_that_meet_is_named(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=events("1", "2", "3.0"), items_csv=catalogue("1", "2", "3"))
    assert "'3.0' in the events is '3' in the items" in prepare_log(folder).report.warnings()[0]


def test_items_of_another_catalogue_do_not_meet(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=events("1", catalogue="shoes"), items_csv=catalogue("1"))
    with pytest.raises(TrainingError, match="another catalogue"):
        prepare_log(folder)


def test_a_log_without_a_catalogue_lacks_nothing(prepare_log: Prepare, write_log: WriteLog) -> None:
    report = prepare_log(write_log(events_csv=events("a"))).report
    assert (report.joins.unlisted_items, report.warnings()) == (0, [])


def test_shoppers_that_are_declared_are_counted_and_not_named(prepare_log: Prepare, write_log: WriteLog) -> None:
    declared = "shopper_id,gender\ns,f\nt,m\n"
    report = prepare_log(write_log(events_csv=events("a"), shoppers_csv=declared)).report
    assert report.warnings() == ["1 of 2 shoppers that are declared have no event"]
    with pytest.raises(TrainingError, match="none of the 2 shoppers") as caught:
        prepare_log(write_log(events_csv=events("a", shoppers="s.0"), shoppers_csv=declared))
    assert "s.0" not in str(caught.value)
