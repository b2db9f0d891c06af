"""Speed and memory of audiences: `python -m benchmarks audiences REPOSITORY [--shoppers N]`.

Generates a audience table for the newest release of a model repository, serves it by a real gateway, asks it through
the client, and writes the figures to `benchmarks/results/`.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.audiences import audience_table as generated
from benchmarks.audiences import consent_table as consented
from benchmarks.audiences import engines
from benchmarks.audiences import table_rates as built
from benchmarks.common.cli import add_repository, existing_folder, make_parser
from benchmarks.common.gateway import read_peak_memory, run_gateway
from benchmarks.common.machine import describe_machine
from benchmarks.common.results import RESULTS
from benchmarks.common.steps import open_repository
from portrait.client import (
    ActivityCriterion,
    Client,
    CustomerValueCriterion,
    InterestCriterion,
    LookAlike,
    TraitCriterion,
)
from portrait.client.audiences import Criterion
from portrait.features.release.layout import list_releases
from portrait.server.release.release import Release

SECONDS_BOUND, MEMORY_BOUND_GIB = 5.0, 2.0
_RUNS = 5
_MIB = 2**20


@dataclass(frozen=True)
class Question:
    """An audience to estimate and find."""

    name: str
    criteria: Sequence[Criterion] = ()
    look_alike: LookAlike | None = None


@dataclass(frozen=True)
class Answer:
    """Seconds that one question takes."""

    question: str
    shoppers: int
    first_seconds: float
    """Seconds of the first call; it reads columns that no call has read before from the page cache."""
    estimate_seconds: float
    """Median seconds of the next estimates."""
    find_seconds: float
    """Seconds until the last page of the ids, once."""


@dataclass
class Figures:
    """One run."""

    shoppers: int
    dimension: int
    table_mib: int
    machine: str
    date: str
    answers: list[Answer] = field(default_factory=list)
    gateway_gib: float = 0.0
    """Resident memory of the gateway before the first question; the mapped table counts, Triton does not."""
    peak_gib: float = 0.0
    """Peak of the same memory."""
    engines: list[dict[str, object]] = field(default_factory=list)
    tabulated: int = 0
    tabulated_per_second: int = 0
    refreshed_per_second: int = 0


def make_questions(release: Release) -> list[Question]:
    """Make a question of each kind, and one of all kinds at once."""
    paths = generated.make_taxonomy(release)
    interest = InterestCriterion([paths[0], paths[7], paths[40]], 0.2)
    value = CustomerValueCriterion(tiers=["high", "top"], segments=["loyal", "at_risk"])
    recent = ActivityCriterion(since=generated.NOW - timedelta(days=30))
    traits = [TraitCriterion(trait.name, 0.5) for trait in release.traits if not trait.absent][:1]
    label = InterestCriterion(labels=["gifts for a gardener"], min_percentile=0.9)
    buyers: list[Criterion] = [interest, value]
    seed = [generated.format_shopper_id(number) for number in range(0, 50_000, 50)]
    found = [
        Question("interest (three nodes of the taxonomy)", [interest]),
        *(Question("trait", [each]) for each in traits),
        Question("value tier and segment", [value]),
        Question("last event", [recent]),
        Question("label (words nobody trained for)", [label]),
        Question("interest, trait, value, last event together", [interest, *traits, value, recent]),
        Question("look-alikes of 1,000 shoppers, the 10,000 most similar", look_alike=LookAlike(seed, top=10_000)),
        Question("look-alikes of an audience, among recent ones", [recent], LookAlike(buyers, top=10_000)),
    ]
    return found if release.profiles is not None else [each for each in found if each.name[:5] != "label"]


def time_question(client: Client, question: Question) -> Answer:
    """Time one question over several calls."""
    taken = []
    for _ in range(1 + _RUNS):
        begun = time.perf_counter()
        client.estimate_audience(question.criteria, look_alike=question.look_alike)
        taken.append(time.perf_counter() - begun)
    begun, named = time.perf_counter(), 0
    for page in client.find_audience(question.criteria, look_alike=question.look_alike, page_size=5_000):
        named += len(page.members)
    seconds = time.perf_counter() - begun
    return Answer(question.name, named, round(taken[0], 3), round(statistics.median(taken[1:]), 3), round(seconds, 3))


def measure(repository: Path, shoppers: int, tabulated: int, seed: int, folder: Path) -> Figures:
    """Measure everything; generated files go into a folder."""
    number = list_releases(repository)[-1]
    release = Release.load(repository, number)
    table = folder / "audiences" / release.identity / "1"
    table.mkdir(parents=True)
    state = folder / "consents.db"
    description = generated.write_table(release, consented.write_consents(state, shoppers, seed), shoppers, seed, table)
    size = sum(path.stat().st_size for path in table.iterdir())
    figures = Figures(
        shoppers, description.dimension, round(size / _MIB), describe_machine(), datetime.now(UTC).date().isoformat()
    )
    with (
        run_gateway(
            repository,
            *("--release", str(number), "--audiences", str(folder / "audiences")),
            *("--state", str(state), "--consent-advertising", "granted"),
        ) as gateway,
        Client(gateway.address, timeout=60.0) as client,
    ):
        figures.gateway_gib = _to_gib(gateway.rss)
        figures.answers = [time_question(client, question) for question in make_questions(release)]
        figures.peak_gib = _to_gib(read_peak_memory(gateway.process.pid))
    work = folder / "parquet"
    work.mkdir()
    engines.export_parquet(table, work)
    for engine in engines.ENGINES:
        command = [sys.executable, "-m", "benchmarks.audiences.engines", engine, str(table), str(work)]
        figures.engines.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    shutil.rmtree(work)
    rates = built.measure_rates(repository, release, tabulated, folder)
    figures.tabulated, figures.tabulated_per_second = tabulated, rates["first_per_second"]
    figures.refreshed_per_second = rates["refresh_per_second"]
    return figures


def _to_gib(size: int) -> float:
    return round(size / 2**30, 2)


def format_report(figures: Figures) -> str:
    """The figures as Markdown."""
    slowest = max(max(each.first_seconds, each.estimate_seconds) for each in figures.answers)
    verdict = "passed" if slowest <= SECONDS_BOUND and figures.peak_gib <= MEMORY_BOUND_GIB else "not passed"
    lines = [
        f"{figures.shoppers:,} generated shoppers, {figures.dimension} numbers a profile, "
        f"{figures.table_mib:,} MiB on the disk; {figures.machine}, {figures.date}; "
        "`python -m benchmarks audiences REPOSITORY`.",
        "",
        f"All of them have said what they allow, and are asked at every question: {consented.GRANTED_SHARE:.0%} "
        f"granted advertising, the others refused it; {consented.WITHDRAWN_SHARE:.0%} withdrew personalisation, "
        "the others granted it.",
        "",
        f"Target: at most {SECONDS_BOUND:g} s and {MEMORY_BOUND_GIB:g} GiB: **{verdict}**, {slowest:.2f} s the slowest "
        f"and {figures.peak_gib} GiB resident memory of the gateway at its highest ({figures.gateway_gib} GiB before "
        "the first question).",
        "",
        "| audience | shoppers | size, first time | size, median | all ids, s |",
        "|---|---|---|---|---|",
        *(
            f"| {each.question} | {each.shoppers:,} | {each.first_seconds:.2f} s | {each.estimate_seconds:.2f} s "
            f"| {each.find_seconds:.2f} |"
            for each in figures.answers
        ),
        "",
        "The same table in three embedded engines, each in a process of its own, without a gateway: a filter by "
        "interest, tier and recency, and the 10,000 most similar profiles.",
        "",
        "| engine | filter | look-alikes | peak memory |",
        "|---|---|---|---|",
        *(
            f"| {each['engine']} | {each['filter_seconds']} s | {each['look_alike_seconds']} s "
            f"| {each['peak_gib']} GiB |"
            for each in figures.engines
        ),
        "",
        f"`portrait build-audience-table`: {figures.tabulated_per_second:,} shoppers a second in a first run over "
        f"{figures.tabulated:,} shoppers of {built.EVENTS_PER_SHOPPER} events, "
        f"{figures.refreshed_per_second:,} a second in a run "
        "for a tenth of them.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("audiences", __doc__)
    add_repository(parser)
    parser.add_argument("--shoppers", type=int, default=1_000_000, help="number of generated shoppers")
    parser.add_argument("--tabulated", type=int, default=5_000, help="number of shoppers whose profiles are computed")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated shoppers")
    parser.add_argument("--results", type=existing_folder, default=RESULTS, help="folder for the results")
    options = parser.parse_args(arguments)
    repository = open_repository(options.repository)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(repository, options.shoppers, options.tabulated, options.seed, Path(folder))
    (options.results / "audiences.json").write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    (options.results / "audiences.md").write_text(format_report(figures), encoding="utf-8")
    print(format_report(figures))
    return 0
