"""Encoding of texts: `python -m benchmarks serving.encoding REPOSITORY`.

The gateway with Triton against OpenVINO in process, which knows all texts beforehand: it tokenises them in one go,
sorts them by length and cuts them into batches of the best of some sizes, each padded to its longest text. Both read
the same file, with the same tokenizer and as many threads; both rates include tokenising. The texts are those of the
release's items, each once; the gateway keeps no embedding. Repetitions of the two alternate, and the ratio is the
median of theirs. Gateway, Triton and load generator share the machine.
"""

import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openvino  # type: ignore[import-untyped]

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import Gateway, run_gateway
from benchmarks.common.load.calls import make_encode_calls, read_item_texts
from benchmarks.common.load.generator import OK, Call, Load, run_load
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS
from portrait.features.release import layout as release_layout
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.inference.texts import SHAPES

LOADS = ((64, 1), (24, 8))
"""Calls in flight, and texts in each. Admission lets no more of the latter in: they would take over 100 ms."""
BATCH_SIZES = (512, 1024, 2048, 4096)
"""Sizes of batches that are tried in process."""
_DEADLINE = 10.0
_PAUSE = 0.5
"""Seconds after a refusal, as `RetryInfo` says on average."""
_MODEL = "text_encoder"

Encode = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Figures:
    """One repetition through the gateway."""

    rate: float
    """Texts a second."""
    filled: float
    """Tokens in a batch, on average, without padding."""
    places: float
    """Tokens in a batch, on average, with padding."""
    answered: float
    """Share of the calls that were not refused."""


def open_encoder(repository: Path, places: int) -> Encode:
    """Open the text encoder in this process.

    Args:
        repository: holds the release.
        places: of a batch, padding included.
    """
    number = release_layout.list_releases(repository)[-1]
    tokenizer = TextTokenizer.load(release_layout.release_folder(repository, number) / release_layout.TOKENIZER)
    path = repository / _MODEL / str(number) / "model.onnx"
    request = openvino.Core().compile_model(path, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()

    def encode(texts: Sequence[str]) -> None:
        rows = sorted(tokenizer.encode(texts), key=len, reverse=True)
        while rows:
            count = max(1, places // len(rows[0]))
            batch = tokenizer.pad(rows[:count])
            request.infer({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask})
            rows = rows[count:]

    return encode


def _measure_rate(encode: Encode, texts: Sequence[str]) -> float:
    began = time.perf_counter()
    encode(texts)
    return len(texts) / (time.perf_counter() - began)


def encode_through_gateway(gateway: Gateway, texts: Sequence[str], in_flight: int, texts_per_call: int) -> Figures:
    """Encode texts through the gateway, in a closed loop; a call that is refused counts as no text."""
    calls: list[Call] = make_encode_calls(texts, texts_per_call)
    before = gateway.metrics()
    load = Load(gateway.address, calls, 600.0, _DEADLINE, in_flight=in_flight, count=len(calls), after_refusal=_PAUSE)
    answered = run_load(load)
    after = gateway.metrics()
    codes = Counter(each.code for each in answered)
    seconds = max(each.sent + each.seconds for each in answered) - min(each.sent for each in answered)
    counted = {
        name: after[key] - before[key]
        for name in ("batches", "units", "padded_units")
        for key in (f'portrait_model_{name}_total{{model="{_MODEL}"}}',)
    }
    batches = counted["batches"]
    share = codes[OK] / len(answered)
    return Figures(share * len(texts) / seconds, counted["units"] / batches, counted["padded_units"] / batches, share)


def measure(repository: Path, repetitions: int = 5) -> list[Result]:
    """Measure both in alternation."""
    texts = read_item_texts(repository)
    random.Random(1).shuffle(texts)
    encoders = {places: open_encoder(repository, places) for places in BATCH_SIZES}
    for encode in encoders.values():
        encode(texts)  # every shape is compiled
    best = max(BATCH_SIZES, key=lambda places: _measure_rate(encoders[places], texts))
    own: list[float] = []
    ours: dict[tuple[int, int], list[Figures]] = {load: [] for load in LOADS}
    with run_gateway(repository, "--text-cache-mib", "0") as gateway:
        for in_flight, size in LOADS:
            # Shapes are compiled, and admission learns that it may let in more than it does at first.
            encode_through_gateway(gateway, texts, in_flight * 3 // 4, size)
        for _ in range(repetitions):
            own.append(_measure_rate(encoders[best], texts))
            for load, measured in ours.items():
                measured.append(encode_through_gateway(gateway, texts, *load))
                _log(load, own[-1], measured[-1])
    return [row for load, measured in ours.items() for row in _make_results(load, measured, own, best)]


def _make_results(load: tuple[int, int], measured: list[Figures], own: list[float], best: int) -> list[Result]:
    what = f"{load[0]} calls of {load[1]} text{'s' if load[1] > 1 else ''} in flight"
    rate = statistics.median(each.rate for each in measured)
    ratio = statistics.median(each.rate / other for each, other in zip(measured, own, strict=True))
    filled = statistics.median(each.filled for each in measured)
    waste = statistics.median(1 - each.filled / each.places for each in measured)
    ideal = f"OpenVINO in process, batches of {best}, {statistics.median(own):.0f} texts/s"
    return [
        Result(f"text encoding: rate, {what}", rate, "texts/s", ideal, ratio, "ratio >= 0.9"),
        Result(f"text encoding: tokens in a batch, {what}", filled, "tokens", f"budget, {SHAPES.budget} tokens",
            filled / SHAPES.budget, "ratio >= 0.8"),
        Result(f"text encoding: padding, {what}", waste, "share", "", None, "value <= 0.1"),
    ]  # fmt: skip


def _log(load: tuple[int, int], own: float, measured: Figures) -> None:
    told = {
        "in_flight": load[0],
        "texts_per_call": load[1],
        "in_process": round(own),
        "gateway": round(measured.rate),
        "ratio": round(measured.rate / own, 3),
        "tokens": round(measured.filled),
        "padding": round(1 - measured.filled / measured.places, 3),
        "answered": round(measured.answered, 3),
    }
    sys.stderr.write(json.dumps(told) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.encoding", __doc__, measure, PARTS["encoding"].options, arguments)
