import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.retrieval.exact import best

# Few different scores, so that ties are common.
rows = st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=60)


@given(rows, st.integers(1, 80))
def test_it_finds_what_looking_at_every_row_finds(rows: list[tuple[float, bool]], k: int) -> None:
    scores = np.array([score for score, _ in rows], dtype=np.float32)
    allowed = np.array([allow for _, allow in rows], dtype=bool)
    expected = sorted((row for row in range(len(rows)) if allowed[row]), key=lambda row: (-scores[row], row))[:k]
    assert best(scores, k, allowed).tolist() == expected


def test_scores_that_differ_by_little_are_told_apart() -> None:
    scores = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    found = best(scores, 100, np.ones(10_000, dtype=bool))
    assert found.tolist() == np.argsort(-scores, kind="stable")[:100].tolist()
