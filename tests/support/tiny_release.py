"""A whole release in miniature, so that tests drive the real Triton and the real gateway within seconds.

The graphs are tiny but behave: a text's embedding is the sum of its words', a profile is the weighted mean of its
events, the ranker likes what is near. Two releases have different vectors.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from portrait.export import configurations
from portrait.features.candidates.associations import Associations
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES, RANKER_INPUTS
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.item_pairs import ItemPair, PairKind, write_item_pairs
from portrait.features.candidates.item_statistics import ITEM_STATISTICS, POPULARITY, scale_popularity
from portrait.features.candidates.relations import RELATIONS, Relations
from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPES, Item
from portrait.features.files.integrity import sha256
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.histories.statistics import STATISTICS
from portrait.features.items.item_table import ItemTable, write_item_lines
from portrait.features.items.prices import PriceScale
from portrait.features.items.sentence_vectors import average_fields, list_fields
from portrait.features.population.interest_dynamics import InterestDecay
from portrait.features.population.population import InterestDynamics, Population, PurchaseCycles, SpendingFifths
from portrait.features.population.profile_distribution import ProfileDistribution, write_profile_distribution
from portrait.features.population.purchase_cycles import CategoryCycle, CycleScale
from portrait.features.release import layout as release_layout
from portrait.features.release.layout import MODELS
from portrait.features.release.manifest import Manifest
from portrait.features.search.word_index import WordIndex
from portrait.features.text.keywords import extract_keywords
from portrait.features.text.normalisation import item_text
from portrait.features.text.tokenizer import TextTokenizer

DIMENSION, SENTENCE_DIMENSION = 16, 24

_KINDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("Home", "Lamps"): ("desk lamp", "floor lamp", "bedside lamp"),
    ("Home", "Rugs"): ("wool rug", "cotton rug", "jute rug"),
    ("Kitchen", "Pans"): ("frying pan", "sauce pan", "grill pan"),
    ("Garden", "Tools"): ("garden spade", "hedge shears", "watering can"),
}
_COLOURS = ("red", "blue", "green", "black")
_BRANDS = ("Acme", "Norden", "Zhen")

TRAITS: list[dict[str, Any]] = [
    {
        "name": name,
        "description": f"{name}, in 30 days.",
        "horizon_days": 30,
        "window_days": 90,
        "absent": None,
        "test": {
            "auc": {"value": 0.75},
            "calibration_error": {"value": 0.02},
            "excess": {"value": 0.0, "interval": [-0.02, 0.02]},
        },
        "tested_until": "2026-01-01T00:00:00+00:00",
    }
    for name in ("lapses", "buys")
]
TRAITS.insert(1, {"name": "rare", "description": "", "horizon_days": 30, "window_days": 90, "absent": "too few"})
"""Two that are learnt, and between them one that is not."""

_OPSET, _IR_VERSION = 18, 10
_NUDGE = np.array([1e-3], dtype=np.float32)
"""CatalogueDelta before a vector is made unit length, so that nothing at all has a direction too."""
_TYPE_WEIGHTS = (0.0, 1.0, 0.5, 0.6, 0.8, 1.0, 1.0)
"""By event type's code."""


def _items() -> list[Item]:
    made = []
    for place, ((path, kinds), colour) in enumerate(itertools.product(_KINDS.items(), _COLOURS)):
        for nth, kind in enumerate(kinds):
            made.append(
                Item(
                    item_id=f"{kind.replace(' ', '-')}-{colour}",
                    title=f"{colour.title()} {kind}",
                    category_path=path,
                    brand=_BRANDS[(place + nth) % len(_BRANDS)],
                    attributes={"colour": colour},
                    price=10.0 + 3.0 * place + 7.0 * nth,
                )
            )
    chinese = Item("taideng-hong", "红色台灯", category_path=("Home", "Lamps"), brand="Zhen", price=45.0)
    bare = Item("gift-card", "Gift card")
    return [*made, chinese, bare]


ITEMS = _items()
"""50 items; one has a Chinese title, one neither category nor brand nor price."""


def build(repository: Path, release: int = 1, traits: bool = False, variants: int = 0) -> None:
    """Write a release into a model repository, beside those that are there.

    Args:
        repository: the model repository.
        release: its number.
        traits: whether it has `TRAITS`.
        variants: further items, each the variant of one of `ITEMS` with more words. One in five is cold, one in
            seven is of the catalogue `outlet`.
    """
    tokenizer = _tokenizer()
    random = np.random.default_rng(release)
    words = random.normal(size=(tokenizer.get_vocab_size(), DIMENSION)).astype(np.float32)
    meanings = random.normal(size=(len(words), SENTENCE_DIMENSION)).astype(np.float32)
    graphs = {
        "text_encoder": _text_encoder(words, meanings),
        "profile_encoder": _profile_encoder(),
        "ranker": _ranker(),
    }
    names = (*MODELS, release_layout.TRAIT_HEADS) if traits else MODELS
    graphs |= {release_layout.TRAIT_HEADS: _trait_heads()}
    for name in names:
        path = release_layout.model_file(repository, name, release)
        path.parent.mkdir(parents=True)
        onnx.checker.check_model(graphs[name], full_check=True)
        onnx.save_model(graphs[name], str(path))
        configurations.place(repository, name, configurations.read_dims(path))
    items = [*ITEMS, *_make_variants(variants)]
    _write_index(release_layout.release_folder(repository, release), TextTokenizer(tokenizer), words, meanings, items)
    _write_manifest(repository, release, names)


def _make_variants(count: int) -> Iterator[Item]:
    random, words = np.random.default_rng(0), sorted({word for item in ITEMS for word in item.title.split()})
    for number in range(count):
        item = ITEMS[number % len(ITEMS)]
        yield replace(
            item,
            item_id=f"{item.item_id}-{number}",
            title=" ".join((item.title, *random.choice(words, 5))),
            catalogue="outlet" if number % 7 == 0 else item.catalogue,
            price=1.0 + number,
        )


def _tokenizer() -> Tokenizer:
    """WordPiece over the items' own words, with single letters to spell out any other."""
    letters = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(ord("0"), ord("9") + 1))]
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    known = Counter(
        word for item in ITEMS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(item_text(item)))
    )
    pieces = ["[PAD]", "[UNK]", *sorted(known), *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _encode(tokenizer: TextTokenizer, words: NDArray[np.float32], texts: list[str]) -> NDArray[np.float32]:
    """`[texts, DIMENSION]`: what the text encoder's graph says."""
    sums = np.stack([words[np.array(row, dtype=np.int64)].sum(0) for row in tokenizer.encode(texts)]) + _NUDGE
    unit: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit


def _write_index(
    folder: Path,
    tokenizer: TextTokenizer,
    words: NDArray[np.float32],
    meanings: NDArray[np.float32],
    items: Sequence[Item],
) -> None:
    folder.mkdir(parents=True)
    tokenizer.save(folder / release_layout.TOKENIZER)
    prices = np.array([np.nan if item.price is None else item.price for item in items])
    scale = PriceScale.fit([item.category_path for item in items], prices)
    write_item_lines(items, folder / release_layout.ITEMS)
    ItemTable.load(folder, scale).save(folder)
    WordIndex.from_items(items).save(folder)
    texts = [item_text(item) for item in items]
    np.save(folder / release_layout.ITEM_VECTORS, _encode(tokenizer, words, texts))
    others = [item for item in items if item.catalogue != DEFAULT_CATALOGUE]
    fields = [list_fields(item) for item in others]
    embeddings = _encode(tokenizer, meanings, [*itertools.chain.from_iterable(fields), ""])[:-1]
    np.save(folder / release_layout.SENTENCE_VECTORS, average_fields(embeddings, [*map(len, fields)]))
    rows = np.arange(len(items))
    known = np.where((rows >= len(ITEMS)) & (rows % 5 == 0), -1, rows)
    ColdStartNeighbours.of_known_items(known).save(folder / release_layout.COLD_START_NEIGHBOURS)
    statistics = np.zeros((len(items), len(ITEM_STATISTICS)), dtype=np.float32)
    statistics[:, POPULARITY] = scale_popularity(np.arange(len(items), 0.0, -1.0))
    np.save(folder / release_layout.ITEM_STATISTICS, statistics)
    # After each item comes the next one of the list by the first relation, the one after that by the second.
    relations = {name: _lead_forward(steps, len(items)) for steps, name in enumerate(RELATIONS, start=1)}
    Relations(relations).save(folder / release_layout.RELATIONS)
    (folder / release_layout.PRICE_SCALE).write_text(json.dumps(scale.to_json()), encoding="utf-8")
    frequencies = Counter(stem for text in texts for stem in {word.stem for word in extract_keywords(text)})
    (folder / release_layout.DOCUMENT_FREQUENCIES).write_text(
        json.dumps({"documents": len(texts), "frequencies": frequencies}), encoding="utf-8"
    )
    _population().write(folder / release_layout.POPULATION)
    write_item_pairs(_pairs(), folder / release_layout.ITEM_PAIRS)
    vectors = np.load(folder / release_layout.ITEM_VECTORS)
    mean = vectors.mean(0)
    write_profile_distribution(
        ProfileDistribution(mean, np.cov(vectors, rowvar=False).astype(np.float32), mean),
        folder / release_layout.PROFILE_DISTRIBUTION,
    )


def _lead_forward(steps: int, items: int) -> Associations:
    """Lead each item to the one that stands so many places further down the list."""
    follow = np.roll(np.arange(items, dtype=np.int32), -steps)
    return Associations(np.arange(items + 1), follow, np.full(items, 0.5, np.float32), 0.7)


def _pairs() -> Iterator[ItemPair]:
    """Yield pairs of lamps: the red desk lamp is bought with rugs, and looked at with other lamps."""
    for bound, other in enumerate(("wool-rug-red", "jute-rug-red"), start=1):
        yield ItemPair(
            PairKind.COMPLEMENT, "desk-lamp-red", other, 10 * bound, 40, 30, 1_000, 10 * bound, 9, 3.0, bound
        )
    for bound, other in enumerate(("floor-lamp-red", "bedside-lamp-red"), start=1):
        yield ItemPair(PairKind.SUBSTITUTE, "desk-lamp-red", other, 20 * bound, 90, 80, 2_000, 0, 12, 2.0, bound)


def _population() -> Population:
    """A population as a shop of such items could have estimated it."""
    paths = [" > ".join(path) for path in _KINDS]
    return Population(
        window_days=365.0,
        interest_dynamics=InterestDynamics(
            by_order=InterestDecay(short=4.0, long=16.0, short_share=0.5, prior=3.0),
            by_time=InterestDecay(short=5.0, long=30.0, short_share=0.5, prior=3.0),
            population_weights=dict.fromkeys(paths, 0.25) | {"Home": 0.5, "Kitchen": 0.25, "Garden": 0.25},
            inferred_calibration=(0.0, 1.0),
        ),
        brand_shares={"": {"Acme": 0.3, "Norden": 0.3, "Zhen": 0.4}},
        session_gap_minutes=30.0,
        purchase_cycles=PurchaseCycles(
            CycleScale(within=0.5, between=0.5, calibration=(0.0, 1.0), horizon_days=30.0),
            {path: CategoryCycle(log_days=3.0, return_rate=0.8, count=100) for path in paths},
        ),
        spending=SpendingFifths(180.0, [5.0, 10.0, 20.0, 40.0], [1.0, 2.0, 3.0, 5.0], [20.0, 50.0, 100.0, 200.0]),
        paid_prices=PriceScale({path: np.linspace(5.0, 100.0, 21) for path in paths}),
        discounted_shares=np.linspace(0.0, 1.0, 21).tolist(),
    )


def _write_manifest(repository: Path, release: int, names: tuple[str, ...]) -> None:
    folder = release_layout.release_folder(repository, release)
    written = [
        *(release_layout.model_file(repository, name, release) for name in names),
        *release_layout.list_files(folder),
    ]
    traits = release_layout.TRAIT_HEADS in names
    Manifest(
        release=release,
        created_at="2026-01-01T00:00:00+00:00",
        portrait_version="0",
        dimension=DIMENSION,
        subspaces=1,
        sentence_dimension=SENTENCE_DIMENSION,
        event_numbers=list(EVENT_NUMBERS),
        candidate_features=list(CANDIDATE_FEATURES),
        ranker_inputs=list(RANKER_INPUTS),
        statistics=list(STATISTICS) if traits else [],
        traits=TRAITS if traits else [],
        hashes={str(path.relative_to(repository)): sha256(path) for path in sorted(written)},
    ).write(folder)


def _text_encoder(words: NDArray[np.float32], meanings: NDArray[np.float32]) -> onnx.ModelProto:
    """Sums of the words' vectors of either kind, made unit length."""
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["each_word"]),
        helper.make_node("Gather", ["meanings", "input_ids"], ["each_meaning"]),
        helper.make_node("Cast", ["attention_mask"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["kept", "last"], ["weight"]),
        *_weighted_sum("each_word", "weight", "embedding"),
        *_weighted_sum("each_meaning", "weight", "sentence_embedding"),
    ]
    inputs = [_value(name, "n", "t", kind=TensorProto.INT64) for name in ("input_ids", "attention_mask")]
    outputs = [_value("embedding", "n", DIMENSION), _value("sentence_embedding", "n", SENTENCE_DIMENSION)]
    return _model("text_encoder", nodes, inputs, outputs, words=words, meanings=meanings)


def _profile_encoder() -> onnx.ModelProto:
    """Mean of the events' embeddings, weighted by event type and mask, made unit length."""
    nodes = [
        helper.make_node("Gather", ["types", "event_type"], ["typed"]),
        helper.make_node("Cast", ["mask"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["typed", "kept"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["weight"]),
        *_weighted_sum("event_embedding", "weight", "profile"),
    ]
    inputs = [
        _value("event_embedding", "n", "e", DIMENSION),
        _value("event_type", "n", "e", kind=TensorProto.INT64),
        _value("event_age", "n", "e"),
        _value("event_numbers", "n", "e", len(EVENT_NUMBERS)),
        _value("mask", "n", "e", kind=TensorProto.INT64),
    ]
    assert len(_TYPE_WEIGHTS) == len(EVENT_TYPES) + 1
    types = np.array(_TYPE_WEIGHTS, dtype=np.float32)
    return _model("profile_encoder", nodes, inputs, [_value("profile", "n", DIMENSION)], types=types)


def _ranker() -> onnx.ModelProto:
    """Nearness to profile and query, and a little for popularity and familiarity."""
    taste = np.zeros((len(CANDIDATE_FEATURES), 1), dtype=np.float32)
    taste[CANDIDATE_FEATURES.index("popularity")] = 0.1
    taste[CANDIDATE_FEATURES.index("seen")] = 0.2
    nodes = [
        helper.make_node("Add", ["profile_similarity", "query_similarity"], ["near"]),
        helper.make_node("MatMul", ["candidate_features", "taste"], ["liked"]),
        helper.make_node("Squeeze", ["liked", "last"], ["liking"]),
        # Neither the vectors nor the mask have a part in it, but all are inputs.
        helper.make_node("Add", ["profile", "query_embedding"], ["wish"]),
        helper.make_node("ReduceSum", ["wish", "last"], ["summed"], keepdims=1),
        helper.make_node("Cast", ["mask"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["summed", "kept"], ["unread"]),
        helper.make_node("Mul", ["unread", "nothing"], ["none"]),
        helper.make_node("Add", ["near", "liking"], ["both"]),
        helper.make_node("Add", ["both", "none"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["click"]),
        helper.make_node("Mul", ["click", "click"], ["purchase"]),
    ]
    inputs = [
        _value("profile", "n", DIMENSION),
        _value("query_embedding", "n", DIMENSION),
        _value("profile_similarity", "n", "c"),
        _value("query_similarity", "n", "c"),
        _value("candidate_features", "n", "c", len(CANDIDATE_FEATURES)),
        _value("mask", "n", "c", kind=TensorProto.INT64),
    ]
    outputs = [_value(name, "n", "c") for name in ("score", "click", "purchase")]
    return _model("ranker", nodes, inputs, outputs, taste=taste, nothing=np.zeros(1, dtype=np.float32))


def _trait_heads() -> onnx.ModelProto:
    """Two traits: the more probable the longer ago the last purchase, and the other way round."""
    slope = np.zeros((len(STATISTICS), 2), dtype=np.float32)
    slope[STATISTICS.index("recency")] = (0.5, -0.5)
    nodes = [
        helper.make_node("MatMul", ["statistics", "slope"], ["logits"]),
        # The profile has no part in it, but is an input.
        helper.make_node("ReduceSum", ["profile", "last"], ["summed"], keepdims=1),
        helper.make_node("Mul", ["summed", "nothing"], ["none"]),
        helper.make_node("Add", ["logits", "none"], ["told"]),
        helper.make_node("Sigmoid", ["told"], ["probability"]),
    ]
    inputs = [_value("profile", "n", DIMENSION), _value("statistics", "n", len(STATISTICS))]
    nothing = np.zeros(1, dtype=np.float32)
    return _model(
        release_layout.TRAIT_HEADS, nodes, inputs, [_value("probability", "n", 2)], slope=slope, nothing=nothing
    )


def _weighted_sum(values: str, weight: str, output: str) -> list[onnx.NodeProto]:
    """`[n, m, d]` and `[n, m, 1]` to unit vectors `[n, d]`."""
    return [
        helper.make_node("Mul", [values, weight], [f"{output}_weighted"]),
        helper.make_node("ReduceSum", [f"{output}_weighted", "second"], [f"{output}_summed"], keepdims=0),
        helper.make_node("Add", [f"{output}_summed", "nudge"], [f"{output}_nudged"]),
        helper.make_node("LpNormalization", [f"{output}_nudged"], [output], axis=1, p=2),
    ]


def _value(name: str, *shape: str | int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **constants: NDArray[np.float32],
) -> onnx.ModelProto:
    axes = {"last": np.array([-1]), "second": np.array([1]), "nudge": _NUDGE}
    used = {each for node in nodes for each in node.input}
    initializers = [numpy_helper.from_array(value, key) for key, value in (axes | constants).items() if key in used]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
