"""Customer service: the rank of the article that answers a message."""

import json
from pathlib import Path

import bm25s
import numpy as np
import snowballstemmer
import torch
from numpy.typing import NDArray

from benchmarks.applications import client_calls as asking
from benchmarks.applications.tables import Figure, Table, bootstrap_mean
from docs.examples.applications import customer_service as example
from docs.examples.applications import shop
from portrait.client import Client, Event
from portrait.features.events import Item
from portrait.features.text.normalisation import item_text
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.enums import DEFAULT_BASE_MODEL
from portrait.training.metrics import hit_rate, reciprocal_rank

MESSAGES = example.ARTICLES.with_name("help_messages.jsonl")
_SHOPPERS = 200
"""Number of shoppers of the data set whose histories accompany the messages, in turn."""


def measure(repository: Path, data: Path) -> Table:
    """Measure test messages with and without a history, against BM25 and the encoder without fine-tuning."""
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    tested = [row for row in rows if row["part"] == "test"]
    messages, wanted = [row["message"] for row in tested], [row["article"] for row in tested]
    articles = example.read_articles()
    ids = [article.item_id for article in articles]
    texts = [
        item_text(
            Item(each.item_id, each.title, category_path=tuple(each.category_path), attributes=dict(each.attributes))
        )
        for each in articles
    ]
    right = np.array([ids.index(each) for each in wanted])
    with asking.open_client(repository) as portrait:
        portrait.upsert_items(articles, catalogue=example.CATALOGUE)
        ranks = {
            "Portrait, the message alone": _rank_articles(portrait, messages, wanted, [[]]),
            "Portrait, a shopper's history beside it": _rank_articles(
                portrait, messages, wanted, _draw_histories(data)
            ),
        }
    ranks |= {
        f"{DEFAULT_BASE_MODEL} as it came, cosine": _find_positions(
            _encode_untrained(messages) @ _encode_untrained(texts).T, right
        ),
        "BM25, stemmed": _find_positions(_score_by_bm25(texts, messages), right),
    }
    measures = (hit_rate(ranks_, k) for ranks_ in ranks.values() for k in (1, 3))
    hits = list(measures)
    figures: dict[str, list[Figure | None]] = {
        way: [
            bootstrap_mean(hits[2 * place], right),
            bootstrap_mean(hits[2 * place + 1], right),
            bootstrap_mean(reciprocal_rank(each, len(ids)), right),
        ]
        for place, (way, each) in enumerate(ranks.items())
    }
    return Table(
        "Customer service: the help article that answers a message",
        f"{len(messages)} messages, three for each of {len(ids)} articles, all written for this example; "
        '`Recommend(catalogue="help_articles", query=message)` on a release that learnt from a shop\'s searches. The '
        "release was chosen on forty other messages. Intervals are over articles.",
        ["first", "among three", "MRR"],
        figures,
    )


def _draw_histories(data: Path) -> list[list[Event]]:
    everybody = shop.read_histories(data)
    drawn = np.random.default_rng(0).choice(sorted(everybody), _SHOPPERS, replace=False)
    return [everybody[name] for name in drawn.tolist()]


def _rank_articles(
    portrait: Client, messages: list[str], wanted: list[str], histories: list[list[Event]]
) -> NDArray[np.int64]:
    asked = [(message, histories[place % len(histories)]) for place, message in enumerate(messages)]
    rankings = asking.call_all(
        lambda pair: example.find_articles(portrait, *pair, k=40, as_of=shop.day_after(pair[1]) if pair[1] else None),
        asked,
    )
    return asking.rank_wanted(rankings, wanted)


def _find_positions(scores: NDArray[np.float32], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `[messages]`: the rank of the right article by `[messages, articles]` scores; ties keep their order."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.argmax(order == right[:, None], axis=1)


def _encode_untrained(texts: list[str]) -> NDArray[np.float32]:
    """`[texts, hidden]`: mean-pooled states of the base model, unit length."""
    encoder, tokenizer = TextEncoder(DEFAULT_BASE_MODEL, 8).eval(), load_tokenizer(DEFAULT_BASE_MODEL)
    batch = tokenizer.pad(tokenizer.encode(texts))
    with torch.no_grad():
        pooled = encoder.pool(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)).numpy()
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), dtype=np.float32)


def _score_by_bm25(texts: list[str], messages: list[str]) -> NDArray[np.float32]:
    """`[messages, texts]`."""
    stemmer = snowballstemmer.stemmer("english").stemWords
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    words = bm25s.tokenize(messages, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
    return np.stack([index.get_scores(each) for each in words])
