"""Layout of a release on disk: the files' names and the manifest. `export` writes it, `server` reads it.

<model_repository>/<model>/<n>/model.onnx     the three graphs, for Triton, and `trait_heads` if it has traits
<model_repository>/releases/<n>/
    manifest.json                             written last: a release without it does not exist
    tokenizer.json                            of the text encoder
    items.jsonl                               one item a line: the rows of what follows
    item_columns/                             what is in these lines, to be mapped into memory; see `items`
    item_words/                               words of these items, forward and inverted; see `word_index`
    item_vectors.npy                          float32 [items, dimension], unit length; float16 of many items
    sentence_vectors.npy                      float32 [items of other catalogues, hidden], unit length: general language
    item_index.faiss                          finds the nearest items; not where comparing every item is cheaper
    item_statistics.npy                       float32 [items, statistics], see `item_statistics`; of an item without
                                              events, its neighbours' mean
    cold_start_neighbours.npy                 known items that stand in for each cold item; see `cold_start`
    relations.npz                             item-to-item matrices: where a history leads; see `relations`
    price_scale.json                          quantiles of prices by category
    document_frequencies.json                 document frequencies of the catalogues' words
    population.json                           half-lives, cycles, fifths: what is usual among shoppers; see `population`
    item_pairs.csv                            complements and substitutes; see `item_pairs`
    profile_distribution.npz                  mean and covariance of the shoppers' profiles
    report.html                               for people; only if `portrait report` wrote one of the run before

All of these but index, pairs and report are mandatory, and nothing else may stand there: `integrity` checks it.
"""

from pathlib import Path

from portrait.features.files.numbered_folders import list_numbered_folders

MODELS = ("text_encoder", "profile_encoder", "ranker")
"""The graphs of every release."""
TRAIT_HEADS = "trait_heads"
"""The graph of those with traits."""

MODEL_FILE = "model.onnx"
CONFIGURATION = "config.pbtxt"
"""Triton's, of all versions of a model."""
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
ITEMS = "items.jsonl"
ITEM_COLUMNS = "item_columns"
ITEM_WORDS = "item_words"
ITEM_VECTORS = "item_vectors.npy"
SENTENCE_VECTORS = "sentence_vectors.npy"
ITEM_INDEX = "item_index.faiss"
ITEM_STATISTICS = "item_statistics.npy"
COLD_START_NEIGHBOURS = "cold_start_neighbours.npy"
RELATIONS = "relations.npz"
PRICE_SCALE = "price_scale.json"
DOCUMENT_FREQUENCIES = "document_frequencies.json"
POPULATION = "population.json"
ITEM_PAIRS = "item_pairs.csv"
PROFILE_DISTRIBUTION = "profile_distribution.npz"
REPORT = "report.html"

COLUMN_FILES = (
    "line_start.npy", "ids.npy", "id_start.npy", "slots.npy", "catalogue.npy", "path.npy", "brand.npy", "price.npy",
    "percentile.npy", "codes.json",
)  # fmt: skip
"""The files of `item_columns/`."""
WORD_FILES = (
    "starts.npy", "words.npy", "places.npy", "vocabulary.npy", "posting_start.npy", "rows.npy", "row_places.npy",
)  # fmt: skip
"""The files of `item_words/`."""
MANDATORY_FILES = {
    TOKENIZER, ITEMS, ITEM_VECTORS, ITEM_STATISTICS, COLD_START_NEIGHBOURS, RELATIONS, PRICE_SCALE,
    DOCUMENT_FREQUENCIES, POPULATION, PROFILE_DISTRIBUTION,
}  # fmt: skip
"""Files that every release's folder holds beside `item_columns/` and `item_words/`."""

MAX_RELEASE = 2**31 - 1
"""The highest number of a release: an `int32` of the contract, which JSON writes as a number and not as a text."""


def release_folder(repository: Path, release: int) -> Path:
    """Folder of a release, with everything but its models."""
    return repository / "releases" / str(release)


def model_file(repository: Path, model: str, release: int) -> Path:
    """File of a model of a release."""
    return repository / model / str(release) / MODEL_FILE


def list_files(folder: Path) -> list[Path]:
    """All files of a release's folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def list_models(repository: Path, release: int) -> tuple[str, ...]:
    """The graphs of a release."""
    return (*MODELS, TRAIT_HEADS) if model_file(repository, TRAIT_HEADS, release).exists() else MODELS


def list_releases(repository: Path) -> list[int]:
    """The releases of a repository, oldest first: only folders that hold a manifest and are named by a number."""
    return list_numbered_folders(repository / "releases", MANIFEST, MAX_RELEASE)
