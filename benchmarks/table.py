"""The table of all benchmarks; importing it imports none of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.serving.parts import PARTS

RANKING, SERVING = "benchmarks", "benchmarks-serving"
"""Optional dependencies of the package (extras) that benchmarks need."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark."""

    name: str
    description: str
    needs: str
    """Data that it needs."""
    module: str
    """Module whose `main` takes the arguments after the name and returns the exit code."""
    extra: str
    """Extras that it needs, separated by commas."""


_SOURCE = "SOURCE"
_REPOSITORY = "REPOSITORY"


def _list_benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "quality", "ranking quality against popularity, MiniLM, ItemKNN, EASE and SASRec", _SOURCE,
        "benchmarks.quality.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "quality-sets", "ranking quality by default settings on every data set of a folder",
        "FOLDER of sources", "benchmarks.quality_sets.cli", f"{RANKING},demo",
    )  # fmt: skip
    yield Benchmark(
        "served-quality", "ranking quality of a release in Triton against that of its run",
        "DATA REPOSITORY", "benchmarks.quality.served", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "candidates", "what the sources of candidates lose of the whole catalogue", "RUN",
        "benchmarks.candidates.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "ranker-forms", "Portrait's ranker against boosted trees on the same candidates", "RUN",
        "benchmarks.ranker_forms.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "cold-start", "ranking quality for items and shoppers with few events", _SOURCE,
        "benchmarks.cold_start.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "adaptation", "the base model adapted to a shop's texts, against the base model as it came",
        "DATA prepared", "benchmarks.adaptation.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "search", "personalised search against BM25 and query popularity", "SOURCE of searches and clicks",
        "benchmarks.search.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "query-relevance", "relevance of plain product queries, for known and unknown shoppers",
        "DATA REPOSITORY of The Complete Journey", "benchmarks.query_relevance.cli", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "transfer", "next category, and what profiles reveal of demographics",
        "SOURCE open-ecommerce", "benchmarks.transfer.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "fairness", "ways to serve groups of shoppers more alike, and their price",
        "SOURCE open-ecommerce", "benchmarks.fairness.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "unlearning", "membership attack on forgotten shoppers, quality and time of unlearning",
        "SOURCE with a catalogue, without searches", "benchmarks.unlearning.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "diversity", "the price of spreading items that are alike", "RUN…", "benchmarks.diversity.cli",
        f"{RANKING},{SERVING}",
    )  # fmt: skip
    yield Benchmark(
        "profiles", "calibration of the probabilities in a profile, and labels in words",
        "SOURCE open-ecommerce", "benchmarks.profiles.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "category-smoothing", "interests of few events smoothed by the category tree, and without",
        "SOURCE… with times and category paths", "benchmarks.category_smoothing.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "explanations", "faithfulness of explanations: deletion and model randomisation",
        "SOURCE and SOURCE open-ecommerce", "benchmarks.explanations.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "sensitive", "recall and precision of the list of sensitive topics", "nothing, or --repository",
        "benchmarks.sensitive.cli", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "traits", "declared traits and coupon redemption against RFM", "SOURCE open-ecommerce",
        "benchmarks.traits.cli", f"{RANKING},demo",
    )  # fmt: skip
    yield Benchmark(
        "finetuning", "ways of fine-tuning the BERT, side by side", _SOURCE, "benchmarks.finetuning.cli", RANKING
    )
    yield Benchmark(
        "applications", "the six applications of docs/examples, through a gateway",
        "SOURCE open-ecommerce and bestbuy", "benchmarks.applications.cli", f"{RANKING},demo",
    )  # fmt: skip
    yield Benchmark(
        "prepare", "speed and memory of `portrait prepare` on a generated log", "nothing",
        "benchmarks.prepare.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "prepare-engines", "both engines of `portrait prepare` on the same generated logs", "nothing",
        "benchmarks.prepare.engines", f"{RANKING},spark",
    )  # fmt: skip
    yield Benchmark(
        "training-scale", "time and memory of preparing and training by the size of the log", "nothing",
        "benchmarks.training_scale.cli", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "training-processes", "memory of processes that train encoders together, by the size of the log", "nothing",
        "benchmarks.training_scale.processes", RANKING,
    )  # fmt: skip
    yield Benchmark(
        "audiences", "speed of audiences among a million generated shoppers", "REPOSITORY with traits",
        "benchmarks.audiences.cli", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "shared-state", "the state in a file beside the state in Redis", _REPOSITORY,
        "benchmarks.shared_state.cli", f"{SERVING},redis",
    )  # fmt: skip
    yield Benchmark(
        "ingest", "speed of `portrait ingest` from each kind of stream", _REPOSITORY, "benchmarks.ingest.cli",
        f"{SERVING},ingest",
    )  # fmt: skip
    yield Benchmark(
        "sizing", "machines and cost of a large shop, computed from the results of other benchmarks", "nothing",
        "benchmarks.sizing.cli", f"{SERVING},redis",
    )  # fmt: skip
    yield Benchmark(
        "serving", "all targets of serving; writes the results", _REPOSITORY, "benchmarks.serving.cli", SERVING
    )
    for part in PARTS.values():
        yield Benchmark(
            f"serving.{part.name}", part.description, _REPOSITORY, f"benchmarks.serving.{part.name}", SERVING
        )
    yield Benchmark(
        "batch-shapes", "cost of a batch of texts by rows and length", _REPOSITORY, "benchmarks.serving.shapes", SERVING
    )
    yield Benchmark("chaos", "ten minutes of random faults under load", _REPOSITORY, "benchmarks.chaos.cli", SERVING)
    yield Benchmark(
        "soak", "hours of mixed load, swaps, kills and retention: memory and files", _REPOSITORY,
        "benchmarks.soak.cli", SERVING,
    )  # fmt: skip
    yield Benchmark("gpu", "whether a release runs on GPUs, and how fast", _REPOSITORY, "benchmarks.gpu.cli", SERVING)
    yield Benchmark(
        "imports", "cycles and upward imports between the folders of each package", "", "benchmarks.imports.cli", "dev"
    )
    yield Benchmark(
        "batching-policies", "study: policies of batching in virtual time", _REPOSITORY,
        "benchmarks.experiments.batching_policies", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "history-slots", "study: profiles of long and short histories in process", _REPOSITORY,
        "benchmarks.experiments.history_slots", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "indexes", "study: index types for nearest items", _REPOSITORY, "benchmarks.experiments.indexes", SERVING
    )
    yield Benchmark(
        "milvus", "study: Milvus Lite beside the indexes in memory", "nothing",
        "benchmarks.experiments.milvus", f"{SERVING},milvus",
    )  # fmt: skip
    yield Benchmark(
        "precisions", "study: number formats of the text encoder", "RUN",
        "benchmarks.experiments.precisions", SERVING,
    )  # fmt: skip
    yield Benchmark(
        "shared-memory", "study: tensors to Triton by shared memory", _REPOSITORY,
        "benchmarks.experiments.shared_memory", SERVING,
    )  # fmt: skip


BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in _list_benchmarks()}


_HEADER = """usage: python -m benchmarks NAME [options]; `NAME --help` shows the options.

SOURCE is a folder of logs, or a data set that `portrait prepare` wrote. REPOSITORY is a model repository, or a SOURCE
to make one of. RUN is the folder of a trained run.
"""


def format_table() -> str:
    """Format the table as text: a line for each benchmark, with its name, description and data."""
    names, descriptions = ([getattr(each, of) for each in BENCHMARKS.values()] for of in ("name", "description"))
    widths = [max(map(len, column)) for column in (names, descriptions)]
    lines = [f"  {each.name:{widths[0]}}  {each.description:{widths[1]}}  {each.needs}" for each in BENCHMARKS.values()]
    return "\n".join([_HEADER, *lines])
