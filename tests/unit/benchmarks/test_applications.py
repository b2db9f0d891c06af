"""The benchmark of the applications: its messages to customer service, and the table of a result."""

import json

import numpy as np

from benchmarks.applications import client_calls as asking
from benchmarks.applications.service import MESSAGES
from benchmarks.applications.tables import Figure, Table, bootstrap_mean
from docs.examples.applications import customer_service
from portrait.client import Item, RankedItem, Ranking
from portrait.features.text.keywords import extract_keywords
from portrait.training.metrics import MISSED


def test_every_article_has_messages_and_few_of_them_repeat_its_words() -> None:
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    words = {
        article.item_id: {word.stem for word in extract_keywords(f"{article.title} {article.attributes['answer']}")}
        for article in customer_service.read_articles()
    }
    parts = {part: [row for row in rows if row["part"] == part] for part in ("validation", "test")}
    for part, each in (("validation", 1), ("test", 3)):
        assert sorted(row["article"] for row in parts[part]) == sorted(each * list(words))
    repeats = [
        bool({word.stem for word in extract_keywords(row["message"])} & words[row["article"]]) for row in parts["test"]
    ]
    assert np.mean(repeats) < 0.2
    assert len({row["message"] for row in rows}) == len(rows)


def test_a_result_is_told_as_a_table() -> None:
    ranking = Ranking((RankedItem(Item("a"), 1.0, 0.0, 0.0), RankedItem(Item("b"), 0.5, 0.0, 0.0)), 1, 0)
    assert asking.rank_wanted([ranking, ranking], ["b", "c"]).tolist() == [1, MISSED]
    figure = bootstrap_mean(np.array([0.0, 1.0, 1.0, 0.0]), np.arange(4))
    assert figure.value == 0.5
    assert figure.interval is not None
    table = Table("Title", "Text.", ["one", "two"], {"ours": [Figure(0.5, (0.4, 0.6)), None]})
    assert table.lines()[-1] == "| ours | 0.500 (0.400 to 0.600) |  |"
