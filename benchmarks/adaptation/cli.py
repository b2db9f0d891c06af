"""The adapted base model against the base model as it came: `python -m benchmarks adaptation DATA [DATA ...]`.

For each prepared data set, the base model is adapted on the training events of leave-one-out. A share of the items is
kept out of all pairs of texts, as if they were new. Validation targets are then ranked by text alone, without
residuals, profile encoder or ranker (`encoders.text_ranking`); the test is not read. Messages of customers, whose
right articles no training knows, tell what is lost elsewhere. Results go to `benchmarks/results/`.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptation.help_articles import HelpArticles
from benchmarks.common import results
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from portrait.training.dataset.corpus import load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.devices import CPU
from portrait.training.encoders.domain_adaptation import DomainAdapter, interpolate
from portrait.training.encoders.text_pairs import TextPairs, build_text_pairs
from portrait.training.encoders.text_ranking import TextRanking
from portrait.training.enums import Split
from portrait.training.metrics import bootstrap_interval
from portrait.training.run.untrained_model import make_untrained_model
from portrait.training.settings import TrainSettings

NAME = "adaptation"
COLD_SHARE = 0.2
WEIGHTS = (0.25, 0.5, 1.0)

Measured = dict[str, NDArray[np.float64]]
"""By task: a value for each target or message."""


def measure(data: Path, settings: TrainSettings) -> dict[str, Any]:
    """Adapt the base model to a data set; compare each share of the way to the adapted weights with the base model."""
    corpus = load_corpus(data)
    holdout = hold_out(corpus, Split.LOO)
    items = len(corpus.items)
    cold = np.random.default_rng(settings.seed).permutation(items) < COLD_SHARE * items
    pairs = drop_texts(build_text_pairs(corpus, holdout.learnt(corpus)), corpus.item_text[cold])
    model, cache, tokenizer = make_untrained_model(corpus, holdout, settings, CPU)
    ranking, articles = TextRanking(corpus, holdout, settings.seed), HelpArticles(model.text, tokenizer)
    is_cold = cold[corpus.event_item[ranking.targets]]

    def measure_model() -> Measured:
        cache.recompute(ranking.texts)
        values = ranking.measure(cache.pooled.numpy())
        return {"known items": values[~is_cold], "new items": values[is_cold], "help articles": articles.measure()}

    base = measure_model()
    parameters = list(model.text.bert.parameters())
    start = [each.detach().clone() for each in parameters]
    with tempfile.TemporaryDirectory() as folder:
        adapter = DomainAdapter(pairs, ranking, cache, parameters, settings, Path(folder) / "state")
        adapter.adapt(None, 1.0)
    end = [each.detach().clone() for each in parameters]
    ways = {}
    for weight in WEIGHTS:
        interpolate(parameters, start, end, weight)
        ways[f"{weight:g}"] = _compare(measure_model(), base)
    return {
        "data": read_source(data), "pairs": len(pairs), "new_items": int(cold.sum()),
        "base": {task: {"value": float(values.mean()), "count": len(values)} for task, values in base.items()},
        "ways": ways,
    }  # fmt: skip


def drop_texts(pairs: TextPairs, rows: NDArray[np.int64]) -> TextPairs:
    """Drop the pairs that hold one of some texts."""
    kept = ~(np.isin(pairs.anchor, rows) | np.isin(pairs.positive, rows))
    probability = pairs.probability[kept]
    return TextPairs(pairs.texts, pairs.anchor[kept], pairs.positive[kept], probability / probability.sum())


def _compare(values: Measured, base: Measured) -> dict[str, Any]:
    return {
        task: {
            "value": float(values[task].mean()),
            "minus_base": float((values[task] - base[task]).mean()),
            "interval": bootstrap_interval(values[task] - base[task]),
        }
        for task in values
        if len(values[task])
    }


def format_report(content: dict[str, Any]) -> str:
    """Format a table with a row for each data set and share of the way."""
    tasks = ("known items", "new items", "help articles")
    lines = [
        "# Adaptation of the base model",
        "",
        f"{results.format_origin(content['circumstances'])} {content['steps']} steps of {content['pairs']} pairs. "
        "Differences to the base model as it came, with paired 95% bootstrap intervals. Items: NDCG@10 of validation "
        "targets by text alone, among a sample of at most 1,000 items; new items are in no pair. Help articles: MRR of "
        "messages, by cosine.",
        "",
        f"| data set | share of the way | {' | '.join(tasks)} |",
        "|---" * (2 + len(tasks)) + "|",
    ]
    for each in content["sets"]:
        cells = [f"{part['value']:.4f}, {part['count']:,} targets" for part in map(each["base"].get, tasks)]
        lines.append(f"| {each['data']} | 0 | {' | '.join(cells)} |")
        for weight, way in each["ways"].items():
            cells = [_format_difference(way.get(task)) for task in tasks]
            lines.append(f"| | {weight} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _format_difference(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    low, high = part["interval"]
    return f"{part['minus_base']:+.4f} ({low:+.4f} to {high:+.4f})"


def main(arguments: list[str]) -> int:
    """Measure the data sets, one after another; return the exit code."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("data", nargs="+", type=existing_folder, help="folders of prepared data sets")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="settings that differ from the defaults")
    options = parser.parse_args(arguments)
    settings = TrainSettings.from_preset(TrainSettings.preset, **json.loads(options.settings))
    command = f"python -m benchmarks {NAME} DATA" + (
        f" --settings '{options.settings}'" if options.settings != "{}" else ""
    )
    content: dict[str, Any] = {
        "circumstances": results.describe_circumstances(command),
        "steps": settings.adaptation_steps,
        "pairs": settings.adaptation_pairs,
        "sets": [],
    }
    for data in options.data:
        content["sets"].append(measure(data, settings))
        print(format_report(content), flush=True)
    results.write_results(NAME, content, format_report(content))
    return 0
