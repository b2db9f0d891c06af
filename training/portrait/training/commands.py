"""The commands of training: `portrait prepare`, `train`, `tune`, `evaluate`, `traits`.

Heavy imports stand inside the functions, so that `portrait --help` answers at once.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from portrait.training.enums import (
    DEFAULT_BASE_MODEL,
    FineTuning,
    PrepareEngine,
    Preset,
    Split,
    TrackerKind,
)
from portrait.training.errors import TrainingError

if TYPE_CHECKING:
    from portrait.training.prepare.report import Report

DeviceOption = Annotated[
    str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N; auto is a GPU if there is one.")
]
TraitsFile = Annotated[Path, typer.Argument(help="TOML file that declares traits; see docs/traits.md.")]
CompleteUntilOption = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        callback=lambda time: time and time.replace(tzinfo=UTC),
        help="Time in UTC up to which the log is complete; by default its last event.",
    ),
]

_MAX_NAMED_COLUMNS = 12
"""Columns that a report on the screen names; `report.json` names all."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """Report errors that the caller can fix in one line, with exit code 2."""
    try:
        yield
    except TrainingError as error:
        message = str(error)
    except OSError as error:
        if error.filename is None:
            raise  # a reader of the output is gone, or a disk is full
        message = f"{error.filename}: {error.strerror}"
    else:
        return
    # Escaped: a message may quote a log, and `[/x]` in a log is no markup.
    message = escape(" ".join(message.split()))
    Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def prepare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[IN] OUT",
            help="File or folder of the log (none for complete-journey), and folder of the data set.",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="Format of the log: amazon-5core, amazon-cn, bestbuy, open-ecommerce, events or complete-journey; "
            "detected by default."
        ),
    ] = None,
    deletions: Annotated[
        Path | None,
        typer.Option(help="CSV that `portrait export-deletions` wrote: the rows of these shoppers are left out."),
    ] = None,
    deletion_keys: Annotated[
        Path | None,
        typer.Option(
            metavar="KEYFILE", help="For --deletions: TOML file of the keys of `portrait serve --shopper-keys`."
        ),
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines of `portrait review list --json`: events of blocked items, and in blocked interests, are "
            "left out."
        ),
    ] = None,
    pseudonymise: Annotated[
        Path | None,
        typer.Option(
            metavar="KEYFILE", help="TOML file of keys: ids of shoppers and events are written as keyed hashes alone."
        ),
    ] = None,
    engine: Annotated[
        PrepareEngine,
        typer.Option(help="duckdb: in this process; spark: on the cluster of Spark's settings, for the source events."),
    ] = PrepareEngine.DUCKDB,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Clean a log and write it as a data set for training."""
    from portrait.training.prepare.pipeline import prepare_data_set as write
    from portrait.training.prepare.pseudonyms import read_hasher, read_key
    from portrait.training.prepare.sources import SOURCES, complete_journey, detect_source
    from portrait.training.prepare.spark.cleaner import SparkCleaner

    with reported_errors():
        if len(paths) > 2 or (len(paths) == 1 and source != "complete-journey"):
            raise TrainingError("give the source's path and the data set's folder: portrait prepare IN OUT")
        path = paths[0] if len(paths) == 2 else complete_journey.find_installed()
        if not path.exists():
            raise TrainingError(f"{path} does not exist")
        name = source or detect_source(path)
        if name not in SOURCES:
            raise TrainingError(f"there is no source {name!r}; there are {', '.join(SOURCES)}")
        key = read_key(pseudonymise) if pseudonymise else None
        hasher = read_hasher(deletion_keys)
        if engine is PrepareEngine.DUCKDB:
            report = write(
                name, lambda connection: SOURCES[name].load(connection, path), paths[-1], without=deletions, key=key,
                hasher=hasher, reviews=reviews,
            )  # fmt: skip
        elif reviews is not None:
            raise TrainingError("the engine spark takes no --reviews; leave --engine out")
        elif name == "events":
            spark = SparkCleaner(path, key)
            report = write(name, spark.load, paths[-1], without=deletions, cleaner=spark, key=key, hasher=hasher)
        else:
            raise TrainingError(f"the engine spark reads the source events alone, not {name}; leave --engine out")
    for warning in report.warnings():
        Console(stderr=True).print(f"[yellow]warning:[/yellow] {escape(warning)}", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(report.to_json())
    else:
        _print_report(report, paths[-1])


def train(
    data: Annotated[Path, typer.Argument(help="Folder that `portrait prepare` wrote.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run; new, unless --resume.")],
    base_model: Annotated[
        str | None,
        typer.Option(
            help=f"Folder or name of a Hugging Face encoder (BERT) or decoder (GPT).  [default: {DEFAULT_BASE_MODEL}]"
        ),
    ] = None,
    finetune: Annotated[
        FineTuning | None,
        typer.Option(
            help="Weights of the BERT that are trained; auto: all if their adaptation to the shop's texts improves "
            "validation, else none.  [default: auto]"
        ),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(
            help="quick: minutes on two cores; best: larger vectors, then a refit that includes validation events."
        ),
    ] = Preset.QUICK,
    split: Annotated[
        Split | None,
        typer.Option(
            help="Hold-out: loo, the last events of each shopper; time, the latest span of time.  [default: loo]"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.  [default: 0]")] = None,
    erase: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Erase declared attributes from profiles, for linear models: age_band, gender, region; "
            "separated by commas.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="JSON file of settings, such as best.json of `portrait tune`; options override it."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint of the run.")] = False,
    tracker: Annotated[
        TrackerKind | None, typer.Option(help="Log the run to this tracker too, beside TensorBoard.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Fine-tune a shopper-profile model; under torchrun, in several processes."""
    from portrait.training import distributed
    from portrait.training.devices import choose_device
    from portrait.training.run import run as runs
    from portrait.training.run.validation import warn_below_baselines
    from portrait.training.settings import TrainSettings, parse_demographics
    from portrait.training.tracking import TrackerConfig

    options: dict[str, Any] = {"base_model": base_model, "finetune": finetune, "split": split, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    with reported_errors():
        if erase is not None:
            given["erase"] = parse_demographics(erase)
        chosen = {**(TrainSettings.read_overrides(settings) if settings else {}), **given}
        tracking = TrackerConfig(tracker, run) if tracker else None
        complete = TrainSettings.from_preset(chosen.pop("preset", preset), **chosen)
        chosen_device = choose_device(device)
        with distributed.join_processes(chosen_device):
            corpus = runs.train_run(data, run, complete, resume, tracking, chosen_device)
            is_main = distributed.is_main()
            if is_main:
                warn_below_baselines(run, corpus)
    if is_main:
        typer.echo(f"trained: {run}")


def tune(
    data: Annotated[Path, typer.Argument(help="Folder that `portrait prepare` wrote.")],
    study: Annotated[Path, typer.Argument(help="Folder of the study; an existing study continues.")],
    trials: Annotated[int, typer.Option(help="Total number of trials, earlier ones included.")] = 20,
    minutes: Annotated[float | None, typer.Option(help="Start no new trial after this time.")] = None,
    settings: Annotated[Path | None, typer.Option(help="JSON file of settings that all trials share.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search and of every trial.")] = 0,
    tracker: Annotated[
        TrackerKind | None, typer.Option(help="Log every trial to this tracker too, beside TensorBoard.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Search hyper-parameters; trials are compared by validation only."""
    from portrait.training import distributed
    from portrait.training.devices import choose_device
    from portrait.training.ranges import require_in_range
    from portrait.training.run import study as hyperparameters
    from portrait.training.settings import TrainSettings
    from portrait.training.tracking import TrackerConfig

    def report(number: int, value: float | None, chosen: dict[str, Any]) -> None:
        outcome = "pruned" if value is None else f"validation NDCG@10 {value:.4f}"
        typer.echo(f"trial {number}: {outcome}, {json.dumps(chosen)}")

    with reported_errors():
        distributed.require_single_process("portrait tune")
        require_in_range({"trials": trials, "minutes": minutes, "seed": seed})
        base = TrainSettings.read_overrides(settings) if settings else {}
        seconds = None if minutes is None else 60.0 * minutes
        tracking = TrackerConfig(tracker, study) if tracker else None
        best = hyperparameters.search_hyperparameters(
            data, study, base, trials, seconds, seed, report, tracking, choose_device(device)
        )
    typer.echo(f"best: {json.dumps(best, default=str)}")
    typer.echo(f"train with it: portrait train {data} RUN --settings {study / hyperparameters.BEST_FILE}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    split: Annotated[
        Split | None,
        typer.Option(help="Protocol; by default that of the run. For the other one, a second run is trained first."),
    ] = None,
    dump: Annotated[
        Path | None,
        typer.Option(help="Parquet file for the top 100 of every test shopper (shopper_id, position, item_id, score)."),
    ] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Measure a run on held-out events, beside simple baselines that were tuned on validation."""
    from portrait.training.devices import choose_device
    from portrait.training.run.evaluation import evaluate_run

    with reported_errors():
        measured = evaluate_run(run, split, dump, choose_device(device))
    if as_json:
        typer.echo(json.dumps(measured))
    else:
        _print_metrics(measured)


def train_traits(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run that was trained with --split time.")],
    file: TraitsFile,
    complete_until: CompleteUntilOption = None,
    reviews: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines of `portrait review list --json`: of shoppers of whom somebody reviewed it, a trait "
            "learns corrections and not the log."
        ),
    ] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the traits and their metrics as JSON.")] = False,
) -> None:
    """Train declared traits as heads of a run's profile model; they replace earlier ones."""
    from portrait.training.devices import choose_device
    from portrait.training.run.run import load_run
    from portrait.training.run.traits import fit_traits
    from portrait.training.traits import declarations

    errors = Console(stderr=True)
    with reported_errors(), errors.status("loading the run") as status:
        declarations.read_declarations(file)  # report errors in the file before the run is loaded
        trained = load_run(run, choose_device(device))
        found = fit_traits(trained, file, complete_until, lambda name: status.update(f"learning {name}"), reviews)
    if as_json:
        typer.echo(json.dumps(found.declared))
    else:
        _print_traits(found.declared)


def _print_traits(declared: list[dict[str, Any]]) -> None:
    console = Console()
    table = Table(
        "trait", "AUC", "95% interval", "above RFM", "95% interval", "calibration error", title="traits, test"
    )
    for entry in declared:
        if entry["absent"]:
            console.print(f"{entry['name']} is absent: {entry['absent']}", markup=False, soft_wrap=True)
            continue
        if entry["corrected"]:
            console.print(f"{entry['name']} has learnt {entry['corrected']} corrected labels", markup=False)
        auc, above = entry["test"]["auc"], entry["auc_above_rfm"]
        table.add_row(
            entry["name"],
            f"{auc['value']:.3f}",
            "{:.3f} to {:.3f}".format(*auc["interval"]),
            f"{above['value']:+.3f}",
            "{:+.3f} to {:+.3f}".format(*above["interval"]),
            f"{entry['test']['calibration_error']['value']:.3f}",
        )
    if table.row_count:
        console.print(table)


def _print_report(report: "Report", folder: Path) -> None:
    console = Console()
    console.print(f"{report.source} → {folder}", style="bold", markup=False, soft_wrap=True)
    table = Table(show_header=False)
    for name, count in {
        "read": report.read,
        "summed up with another row": report.merged,
        **({"of forgotten shoppers": report.forgotten} if report.forgotten else {}),
        **{f"rejected: {reason.replace('_', ' ')}": count for reason, count in report.rejected.items()},
        "kept": report.kept,
        **{f"  {kind}": count for kind, count in report.events_by_type.items()},
        **({"refunds written with a minus": report.negative_refunds} if report.negative_refunds else {}),
        "shoppers": report.shoppers,
        "items": report.items,
        **_unjoined_counts(report),
    }.items():
        table.add_row(name, f"{count:,}")
    if report.pseudonym_key:
        table.add_row("pseudonyms by the key", escape(report.pseudonym_key))
    table.add_row("time", f"{report.first_time} to {report.last_time}" if report.first_time else "none recorded")
    for place in ("events", "shoppers"):
        if columns := report.unread.get(place):
            more = f" and {len(columns) - _MAX_NAMED_COLUMNS} more" if len(columns) > _MAX_NAMED_COLUMNS else ""
            table.add_row(f"columns of {place}, not read", escape(", ".join(columns[:_MAX_NAMED_COLUMNS]) + more))
    console.print(table)


def _unjoined_counts(report: "Report") -> dict[str, int]:
    """Count the ids that have no match; empty if the source lists no items."""
    joins = report.joins
    if not joins.items_listed:
        return {}
    return {"  of events, not in the catalogue": joins.unlisted_items, "  listed, in no event": joins.never_met_items}


def _print_metrics(measured: dict[str, Any]) -> None:
    console = Console()
    title = f"split {measured['split']}, {measured['shoppers']:,} shoppers, all {measured['items']:,} items ranked"
    table = Table(
        "metric", "portrait", "95% interval", "popularity", title=f"{title}, seen items {measured['seen_items']}"
    )
    for name, ours in measured["ranking"]["portrait"].items():
        low, high = ours["interval"]
        popular = measured["ranking"]["popularity"][name]["value"]
        table.add_row(name, f"{ours['value']:.4f}", f"{low:.4f} to {high:.4f}", f"{popular:.4f}")
    console.print(table)
    console.print(_make_baseline_table(measured["ranking"]))
    console.print(_make_candidate_table(measured["candidates"]))
    columns = {
        "AUC": "auc",
        "log loss": "log_loss",
        "calibration error": "calibration_error",
        "among the first ten": "calibration_error_of_first_10",
        "by chance alone": "calibration_error_of_first_10_by_chance",
    }
    table = Table("chance of the next", *columns, title="probabilities")
    for name, row in measured["probabilities"].items():
        table.add_row(name, *(_format_figure(row[key]) for key in columns.values()))
    console.print(table)


def _make_baseline_table(ranking: dict[str, dict[str, Any]]) -> Table:
    """Make the table of all baselines, with the paired difference that says whether Portrait is above each."""
    from portrait.training.baselines.comparison import DIFFERENCE, format_difference

    table = Table("baseline", "NDCG@10", "HR@10", "portrait minus this, NDCG@10", title="baselines, same shoppers")
    for name, row in ranking.items():
        if name == "portrait":
            continue
        values = (f"{row[metric]['value']:.4f}" for metric in ("NDCG@10", "HR@10"))
        table.add_row(name, *values, format_difference(row["NDCG@10"][DIFFERENCE]))
    return table


def _make_candidate_table(measured: dict[str, Any]) -> Table:
    """Make the table of the sources of candidates."""
    title = f"candidates, {measured['count']:.0f} of a shopper on average, {measured['recall']:.1%} of the targets"
    table = Table("source", "items", "targets", "found by it alone", "NDCG@10 lost without", title=title)
    for name, row in measured["by_source"].items():
        shares = (f"{row[key]:.1%}" for key in ("recall", "alone"))
        table.add_row(name, f"{row['count']:.0f}", *shares, f"{row['loss_without']:.4f}")
    return table


def _format_figure(value: float | None) -> str:
    return "none in the test" if value is None else f"{value:.4g}"
