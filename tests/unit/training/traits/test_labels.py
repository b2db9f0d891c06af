"""Labels: by SQL over what comes after a moment, or by a table; never by anything else."""

import multiprocessing
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.training.errors import DeclarationError
from portrait.training.traits import declarations
from portrait.training.traits.labels import DEFAULT_LIMITS, Labeller, Labels, Limits, open_evaluator, open_labeller

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + 40 * DAY
BUYS = "SELECT shopper_id, shopper_id IN (SELECT shopper_id FROM future WHERE type = 'purchase') AS label FROM shoppers"
IDS = ["a", "b", "c"]


def write(folder: Path, events: list[tuple[str, float, str]]) -> Path:
    """A data set of events: who, days after the start, what."""
    rows = [
        {"event_id": str(place), "shopper_id": who, "time": START + day * DAY, "type": kind, "item_id": "i"}
        | {"catalogue": "products"}
        for place, (who, day, kind) in enumerate(events)
    ]
    schema = {"event_id": pl.String, "shopper_id": pl.String, "time": pl.Datetime("us", "UTC")}
    pl.DataFrame(rows, schema=schema | dict.fromkeys(("type", "item_id", "catalogue"), pl.String)).write_parquet(
        folder / "events.parquet"
    )
    pl.DataFrame({"item_id": ["i"], "title": ["lamp"]}).write_parquet(folder / "items.parquet")
    return folder


def declare(folder: Path, field: str, value: str) -> declarations.Declarations:
    """A trait with this label, or this table of labels."""
    file = folder / "traits.toml"
    file.write_text(f'[[trait]]\nname = "buys"\nhorizon_days = 10\n{field} = """{value}"""\n', encoding="utf-8")
    return declarations.read_declarations(file)


@contextmanager
def opened(
    folder: Path, field: str = "label", value: str = BUYS, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[Labeller, declarations.Trait]]:
    declared = declare(folder, field, value)
    with open_labeller(folder, IDS, declared, limits) as made:
        yield made, declared.traits[0]


def labels(folder: Path, field: str = "label", value: str = BUYS) -> Labels:
    with opened(folder, field, value) as (made, trait):
        return made.labels(trait, AS_OF.timestamp())


EVENTS = [
    ("a", 39.0, "view"), ("a", 45.0, "purchase"),
    ("b", 40.0, "purchase"), ("b", 50.001, "purchase"),
    ("c", 9.0, "purchase"), ("c", 41.0, "purchase"),
]  # fmt: skip


def test_sees_the_time_after_the_moment_up_to_the_horizon(tmp_path: Path) -> None:
    found = labels(write(tmp_path, EVENTS))
    # c did nothing in the window of 30 days before the moment.
    assert found.shoppers.tolist() == [0, 1]
    assert found.values.tolist() == [True, False]


def test_who_only_gave_back_in_the_window_is_no_sample(tmp_path: Path) -> None:
    events = [("a", 1.0, "purchase"), ("a", 39.0, "refund"), ("b", 39.0, "view")]
    assert labels(write(tmp_path, events)).shoppers.tolist() == [1]


def test_a_query_may_end_with_a_comment(tmp_path: Path) -> None:
    assert labels(write(tmp_path, EVENTS), value=f"{BUYS} -- of any kind").values.tolist() == [True, False]


def test_shoppers_without_a_label_are_no_samples(tmp_path: Path) -> None:
    found = labels(
        write(tmp_path, EVENTS), value="SELECT shopper_id, CASE shopper_id WHEN 'a' THEN 1 END AS label FROM shoppers"
    )
    assert (found.shoppers.tolist(), found.values.tolist()) == ([0], [True])


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(IDS), st.floats(0, 200), st.sampled_from(["purchase", "view"]))))
def test_only_events_of_the_window_count(drawn: list[tuple[str, float, str]]) -> None:
    import tempfile

    kept = [*EVENTS, ("a", 30.0, "view"), *drawn]
    inside = {who for who, day, kind in kept if kind == "purchase" and AS_OF < START + day * DAY <= AS_OF + 10 * DAY}
    since = {who for who, day, _ in kept if AS_OF - 30 * DAY < START + day * DAY <= AS_OF}
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), kept)
        declared = declare(folder, "label", BUYS)
        # Without the process, which takes longer to start than all the rest.
        with open_evaluator(folder, IDS, declared, DEFAULT_LIMITS, folder) as evaluate:
            found = evaluate(declared.traits[0], AS_OF.timestamp())
    assert [IDS[row] for row in found.shoppers] == sorted(since)
    assert {IDS[row] for row, value in zip(found.shoppers, found.values, strict=True) if value} == inside & since


def test_a_table_of_labels_counts_within_the_horizon(tmp_path: Path) -> None:
    write(tmp_path, EVENTS)
    rows = [("a", 41, 0), ("a", 50, 1), ("a", 60, 0), ("b", 51, 1), ("b", 40, 1), ("c", 41, 1)]
    lines = [f"{who},{(START + day * DAY).isoformat()},{value}" for who, day, value in rows]
    (tmp_path / "risk.csv").write_text("\n".join(["shopper_id,time,value", *lines]), encoding="utf-8")
    found = labels(tmp_path, "table", "risk.csv")
    assert (found.shoppers.tolist(), found.values.tolist()) == ([0], [True])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("shopper_id,value\na,1", "column 'time': this column is required"),
        ("shopper_id,time,value\na,yesterday,1", "row 2, column 'time': 'yesterday' is not a time"),
        ("shopper_id,time,value\nz,2026-02-12,1", "names no shopper"),
        ("shopper_id,time,value\na,2026-02-12,7", "boolean, or 0 and 1"),
    ],
)
def test_says_what_is_wrong_with_a_table(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, EVENTS)
    (tmp_path / "risk.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DeclarationError, match=message) as caught:
        labels(tmp_path, "table", "risk.csv")
    assert (caught.value.trait, caught.value.field) == ("buys", "table")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT", "can't be evaluated|no SQL"),
        ("SELECT shopper_id FROM shoppers", "columns shopper_id and label"),
        ("SELECT shopper_id, true AS label, 1 AS more FROM shoppers", "columns shopper_id and label"),
        ("SELECT shopper_id, 2 AS label FROM shoppers", "boolean, or 0 and 1"),
        ("SELECT shopper_id, 'x' AS label FROM shoppers", "can't be evaluated"),
        ("SELECT shopper_id, true AS label FROM past WHERE shopper_id = 'a' UNION ALL SELECT 'a', true", "several"),
        ("SELECT shopper_id, true AS label FROM log", "log does not exist"),
        ("SELECT shopper_id, true AS label FROM read_csv('traits.toml')", "disabled"),
        ("SELECT content AS shopper_id, true AS label FROM read_text('traits.toml')", "disabled"),
        ("COPY past TO 'stolen.csv'", "one SELECT"),
        ("DROP VIEW past", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("SELECT 1 AS label", "columns shopper_id and label, and gives label"),
        ("SET enable_external_access = true", "one SELECT"),
        ("ATTACH 'other.db'", "one SELECT"),
    ],
)
def test_refuses_what_is_no_label(tmp_path: Path, query: str, message: str) -> None:
    write(tmp_path, EVENTS)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DeclarationError, match=message) as caught:
        labels(tmp_path, value=query)
    assert (caught.value.trait, caught.value.field) == ("buys", "label")
    assert sorted(path for path in tmp_path.iterdir() if path.name != "traits.toml") == before


SMALL = Limits(seconds=1.0, memory_mib=128, spill_mib=64)
LABELLED = "SELECT shopper_id, n > 5 AS label FROM shoppers, ({}) AS counted(n)"
RUNAWAY = {
    "a cross join": LABELLED.format("SELECT count(*) FROM past AS a, past AS b, past AS c WHERE a.time < b.time"),
    "a recursion without end": LABELLED.format(
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
    ),
    "a product that is sorted": LABELLED.format(
        "SELECT max(length(a.event_id)) FROM (SELECT * FROM past AS a, past AS b ORDER BY random() LIMIT 1 "
        "OFFSET 10000000) AS a"
    ),
    "a list of all": LABELLED.format("SELECT len(list(a.event_id || b.event_id)) FROM past AS a, past AS b"),
    "a text of gigabytes": LABELLED.format("SELECT length(repeat('a', 3000000000))"),
    "many long texts": LABELLED.format("SELECT max(length(repeat(event_id, 1000000))) FROM past"),
    "one call without end": LABELLED.format("SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))"),
}


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    events = [(IDS[place % 3], 10.0 + place / 1_000, "view") for place in range(20_000)]
    return write(tmp_path_factory.mktemp("long_log"), events)


@pytest.mark.slow
@pytest.mark.parametrize("case", RUNAWAY)
def test_a_query_that_runs_away_is_ended_at_the_limit(
    long_log: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.training.traits.labels._GRACE_SECONDS", 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        pytest.raises(DeclarationError) as caught,
        opened(long_log, value=RUNAWAY[case], limits=SMALL) as (made, trait),
    ):
        made.labels(trait, AS_OF.timestamp())
    assert (caught.value.trait, caught.value.field) == ("buys", "label")
    assert "the limit is 1 s, 128 MiB of memory and 64 MiB of disk" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    assert not multiprocessing.active_children()


def test_what_memory_does_not_hold_goes_to_disk(long_log: Path) -> None:
    many = "(SELECT a.event_id || b.event_id AS id FROM past AS a, (FROM past LIMIT 100) AS b)"
    counted = LABELLED.format(f"SELECT count(DISTINCT id) FROM {many}")
    with opened(long_log, value=counted, limits=Limits(memory_mib=128)) as (made, trait):
        assert made.labels(trait, AS_OF.timestamp()).values.tolist() == [True] * 3


def test_errors_travel_between_processes() -> None:
    error = DeclarationError("traits.toml", "buys", "label", "takes too much")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
