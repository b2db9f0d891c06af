"""Help articles that answer messages: a task of general language, whose labels no training reads."""

import json

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from docs.examples.applications import customer_service as example
from portrait.features.events import Item
from portrait.features.text.normalisation import item_text
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.encoders.text_encoder import TextEncoder
from portrait.training.metrics import reciprocal_rank


class HelpArticles:
    """Ranks the articles for each test message by the cosine of pooled vectors.

    Args:
        encoder: the text encoder; its projection is not used.
        tokenizer: its tokenizer.
    """

    def __init__(self, encoder: TextEncoder, tokenizer: TextTokenizer) -> None:
        self._encoder, self._tokenizer = encoder, tokenizer
        articles = example.read_articles()
        lines = example.ARTICLES.with_name("help_messages.jsonl").read_text(encoding="utf-8").splitlines()
        messages = [row for row in map(json.loads, lines) if row["part"] == "test"]
        ids = [each.item_id for each in articles]
        self._right = np.array([ids.index(each["article"]) for each in messages])
        self._messages = [each["message"] for each in messages]
        self._texts = [
            item_text(
                Item(
                    each.item_id, each.title, category_path=tuple(each.category_path), attributes=dict(each.attributes)
                )
            )
            for each in articles
        ]

    def measure(self) -> NDArray[np.float64]:
        """Compute the reciprocal rank of the right article for each message."""
        scores = self._encode(self._messages) @ self._encode(self._texts).T
        order = np.argsort(-scores, axis=1, kind="stable")
        return reciprocal_rank(np.argmax(order == self._right[:, None], axis=1), len(self._texts))

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        batch = self._tokenizer.pad(self._tokenizer.encode(texts))
        pooled = self._encoder.pool(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask))
        vectors: NDArray[np.float32] = functional.normalize(pooled, dim=-1).numpy()
        return vectors
