"""Calibration of the probabilities in a profile: `python -m benchmarks profiles SOURCE`.

A run is trained on the source with `--split time`. Everything is estimated from what precedes the test, which is read
once. Results go to `benchmarks/results/`.
"""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.common import results, steps
from benchmarks.common.cli import add_source, existing_folder, make_parser
from benchmarks.common.data_sets import read_source
from benchmarks.common.errors import BenchmarkError
from benchmarks.profiles import examples, labels
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.population import Population
from portrait.training.enums import Split
from portrait.training.population import cycles, interest_dynamics
from portrait.training.population import statistics as population
from portrait.training.population.calibration import Predictions, summarise_reliability
from portrait.training.population.taxonomy import Taxonomy
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

_CHANCE_TITLES = {
    "next": "next event is in a category of the history (`Interest.next_event_probability`)",
    "inferred": "next event is in a category that the history does not hold (`Interest.inferred`)",
    "due": "the category is bought again within 30 days (`PurchaseCycle.due_probability`)",
}


def measure_reliability(trained: TrainedRun, known: Population) -> dict[str, Any]:
    """Measure the reliability of each probability on the test."""
    corpus, taxonomy, basis = trained.corpus, Taxonomy.of(trained.corpus), population.EstimationBasis.of(trained)
    test, seed = interest_dynamics.sample_targets(trained.holdout.test, trained.settings.seed), trained.settings.seed
    found = {}
    if known.interest_dynamics is not None:
        shares = interest_dynamics.category_shares(corpus, taxonomy, basis.holdout.train)
        found["next"] = summarise_reliability(
            interest_dynamics.predict_categories(corpus, taxonomy, test, shares, known.interest_dynamics)
        )
        if known.interest_dynamics.inferred_calibration is not None:
            scores, came = interest_dynamics.score_inferred(corpus, taxonomy, test, basis.associations)
            a, b = known.interest_dynamics.inferred_calibration
            found["inferred"] = summarise_reliability(
                Predictions(1.0 / (1.0 + np.exp(-(a + b * np.log(scores)))), came)
            )
    if known.purchase_cycles is not None:
        bought = cycles.PurchaseDays.of(corpus, taxonomy, np.ones(len(corpus.event_item), dtype=bool))
        end = float(np.floor(corpus.columns.time[basis.holdout.train].max() / SECONDS_PER_DAY))
        found["due"] = summarise_reliability(
            cycles.predict_purchases(bought, taxonomy, known.purchase_cycles, end, seed)
        )
    return found


def format_report(content: dict[str, Any]) -> str:
    """Format all results as Markdown."""
    lines = [
        f"# Profiles: {content['data']}", "",
        f"{results.format_origin(content['circumstances'])} "
        "Split by time; estimated "
        "from what precedes the validation period, calibrated on it, measured on the test.", "", "## Half-lives", "",
        "| ages in | short | long | weight of the short one | prior (purchases) |", "|---" * 5 + "|",
        *(
            f"| {unit} | {decay['short']:g} | {decay['long']:g} | {decay['short_share']:g} | {decay['prior']:g} |"
            for unit, decay in content["decays"].items()
        ),
        "", "## Chances", "",
        "| chance that | pairs | came true | calibration error | AUC |", "|---" * 5 + "|",
    ]  # fmt: skip
    for name, row in content["chances"].items():
        area = "" if row["auc"] is None else f"{row['auc']:.3f}"
        lines.append(
            f"| {_CHANCE_TITLES[name]} | {row['pairs']:,} | {row['came_true']:,} | {row['calibration_error']:.4f} "
            f"| {area} |"
        )
    lines += ["", "Reliability, in tenths of the pairs from the lowest chance to the highest: said → came true.", ""]
    for name, row in content["chances"].items():
        curve = " · ".join(f"{each['chance']:.1%} → {each['rate']:.1%}" for each in row["curve"])
        lines += [f"- {name}: {curve}"]
    if content["labels"]:
        lines += _format_labels(content["labels"])
    lines += ["", "## Three shoppers in words", "", "Drawn by lot from the thirds by length of history."]
    for shopper in content["examples"]:
        lines += ["", f"Shopper {shopper['shopper']}, {shopper['events']:,} events:", ""]
        both = zip(shopper["english"], shopper["chinese"], strict=True)
        lines += [f"- {english}<br>{chinese}" for english, chinese in both]
    return "\n".join(lines) + "\n"


def _format_labels(measured: dict[str, Any]) -> list[str]:
    tried = ", ".join(f"`{name}` {value:.3f}" for name, value in measured["templates_on_validation"].items())
    lines = [
        "", "## Labels that nobody trained for", "",
        f"AUC of who comes to a theme within {labels.HORIZON_DAYS:.0f} days. Mean AUC on the validation by how the "
        f"label is put: {tried}. Newcomers are shoppers who never came to the theme before, examples "
        f"{labels.EXAMPLES} shoppers of the validation who did. Beside them the share of the theme in the history, "
        "which needs the theme's categories.", "",
        "| label | shoppers who came | by words | by words, newcomers | by examples | share of history |",
        "|---" * 6 + "|",
    ]  # fmt: skip
    for theme, row in measured["themes"].items():
        values = (row["words"], row["words_newcomers"], row["examples"], row["share_of_history"])
        lines.append(f"| {theme} | {row['buyers']:,} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    means = [
        float(np.nanmean([row[key] for row in measured["themes"].values()]))
        for key in ("words", "words_newcomers", "examples", "share_of_history")
    ]
    return [*lines, "| mean | | " + " | ".join(f"{value:.3f}" for value in means) + " |"]


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("profiles", __doc__)
    add_source(parser)
    parser.add_argument("--run", type=existing_folder, help="run trained with --split time; else one is made")
    parser.add_argument("--no-labels", action="store_true", help="leave labels out; they are of open-ecommerce")
    options = parser.parse_args(arguments)
    work = options.work or steps.work_folder(options.source)
    where = results.describe_circumstances("python -m benchmarks profiles SOURCE")
    data = steps.prepare_source(options.source, work / "data")
    trained = runs.load_run(options.run or steps.train_run(data, work / "quick", "--split", "time"))
    if trained.settings.split is not Split.TIME:
        raise BenchmarkError(f"{options.run} must be trained with --split time")
    known = population.estimate_population(trained)
    measured = measure_reliability(trained, known)
    of_labels = None if options.no_labels else labels.measure(trained)
    shown = examples.summarise_shoppers(data, trained, known)
    decays = (
        {"events": known.interest_dynamics.by_order, "days": known.interest_dynamics.by_time}
        if known.interest_dynamics
        else {}
    )
    content = {
        "data": read_source(data),
        "circumstances": where,
        "decays": {unit: dataclasses.asdict(decay) for unit, decay in decays.items() if decay is not None},
        "chances": measured,
        "labels": of_labels,
        "examples": shown,
    }
    results.write_results(f"profiles-{content['data']}", content, format_report(content))
    print(format_report(content))
    return 0
