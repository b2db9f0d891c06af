"""Encoding of texts: `python -m benchmarks serving.encoding REPOSITORY`.

The gateway with Triton against OpenVINO in process, which knows all texts beforehand: it tokenises them in one go,
sorts them by length and cuts them into batches of the best of some sizes, each padded to its longest text. Both read
the same file, with the same tokenizer and as many threads; both rates include tokenising. The texts are those of the
release's items, each once; the gateway keeps no embedding. Repetitions of the two alternate, and the ratio is the
median of theirs. Gateway, Triton and load generator share the machine.

The stream sends all texts by one `EncodeTextStream`; the client's own process is part of what is measured. Processor
times say more than rates on a machine that others use too: they are those of the gateway, of Triton and of its graphs.
"""

import json
import multiprocessing
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import openvino  # type: ignore[import-untyped]

from benchmarks.common.cli import run_part
from benchmarks.common.cpu_times import CpuMeter, name_process
from benchmarks.common.gateway import Gateway, run_gateway
from benchmarks.common.load.calls import make_encode_calls, read_item_texts
from benchmarks.common.load.generator import OK, Call, Load, run_load
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS
from portrait.client import Client
from portrait.features.release import layout as release_layout
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.inference.texts import SHAPES

LOADS = ((64, 1), (24, 8))
"""Calls in flight, and texts in each. Admission lets no more of the latter in: they would take over 100 ms."""
Sent = tuple[int, int]
STREAM: Sent = (1, 0)
"""One stream of all texts, whose requests the client makes."""
_STREAM_SECONDS = 60.0
"""The longest deadline that the gateway grants by default."""
BATCH_SIZES = (SHAPES.budget, 512, 1024, 2048, 4096)
"""Sizes of batches that are tried in process; the first is that of the gateway."""
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
    cpu_ms: dict[str, float] = field(default_factory=dict)
    """Processor milliseconds of a text that was answered, by process; what its refusals cost is in it."""


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


def _measure_in_process(encode: Encode, texts: Sequence[str]) -> tuple[float, float]:
    """Measure texts a second, and processor milliseconds of a text."""
    began, cpu = time.perf_counter(), time.process_time()
    encode(texts)
    return len(texts) / (time.perf_counter() - began), 1e3 * (time.process_time() - cpu) / len(texts)


def encode_through_gateway(gateway: Gateway, texts: Sequence[str], in_flight: int, texts_per_call: int) -> Figures:
    """Encode texts through the gateway, in a closed loop; a call that is refused counts as no text."""
    calls: list[Call] = make_encode_calls(texts, texts_per_call)
    load = Load(gateway.address, calls, 600.0, _DEADLINE, in_flight=in_flight, count=len(calls), after_refusal=_PAUSE)

    def send() -> tuple[float, float]:
        answered = run_load(load)
        seconds = max(each.sent + each.seconds for each in answered) - min(each.sent for each in answered)
        return seconds, Counter(each.code for each in answered)[OK] / len(answered)

    return _measure_gateway(gateway, len(texts), send)


def stream_through_gateway(gateway: Gateway, texts: Sequence[str]) -> Figures:
    """Encode texts by one stream, from a process of its own."""

    def send() -> tuple[float, float]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_stream_in_process, (gateway.address, texts)), 1.0

    return _measure_gateway(gateway, len(texts), send)


def _stream_in_process(address: str, texts: Sequence[str]) -> float:
    """Stream all texts; returns the seconds from the first request to the last vector."""
    with Client(address) as client:
        client.encode_texts(["connected"])
        began = time.perf_counter()
        count = sum(len(part.vectors) for part in client.encode_text_stream(texts, timeout=_STREAM_SECONDS))
        seconds = time.perf_counter() - began
    if count != len(texts):
        raise RuntimeError(f"{count} vectors of {len(texts)} texts")
    return seconds


def _measure_gateway(gateway: Gateway, count: int, send: Callable[[], tuple[float, float]]) -> Figures:
    """Measure how the gateway encodes so many texts; `send` returns the seconds and the share that was answered."""
    before, used = gateway.metrics(), CpuMeter(gateway.process.pid, name_process)
    seconds, share = send()
    cpu_ms = {name: used_ms / (share * count) for name, used_ms in used.read().items()}
    after = gateway.metrics()
    counted = {
        name: after[key] - before[key]
        for name in ("batches", "units", "padded_units")
        for key in (f'portrait_model_{name}_total{{model="{_MODEL}"}}',)
    }
    batches = counted["batches"]
    return Figures(
        share * count / seconds, counted["units"] / batches, counted["padded_units"] / batches, share, cpu_ms
    )


def measure(repository: Path, repetitions: int = 5, texts: int = 5_000) -> list[Result]:
    """Measure all in alternation.

    Args:
        repository: model repository.
        repetitions: of each load.
        texts: how many texts each load has; a stream must end within the gateway's longest deadline.
    """
    every = read_item_texts(repository)
    random.Random(1).shuffle(every)
    chosen = every[:texts]
    encoders = {places: open_encoder(repository, places) for places in BATCH_SIZES}
    tried = chosen[: max(1, texts // 4)]
    for encode in encoders.values():
        encode(tried)  # shapes are compiled
    best = max(BATCH_SIZES, key=lambda places: _measure_in_process(encoders[places], tried)[0])
    encoders[best](chosen)
    own: list[tuple[float, float]] = []
    ours: dict[Sent, list[Figures]] = {sent: [] for sent in (*LOADS, STREAM)}
    with run_gateway(repository, "--text-cache-mib", "0") as gateway:
        for in_flight, size in LOADS:
            # Shapes are compiled, and admission learns that it may let in more than it does at first.
            encode_through_gateway(gateway, chosen, in_flight * 3 // 4, size)
        for _ in range(repetitions):
            own.append(_measure_in_process(encoders[best], chosen))
            for sent, measured in ours.items():
                through = stream_through_gateway(gateway, chosen) if sent == STREAM else None
                measured.append(through or encode_through_gateway(gateway, chosen, *sent))
                _log(sent, own[-1], measured[-1])
    return [row for sent, measured in ours.items() for row in _make_results(sent, measured, own, best)]


def _make_results(sent: Sent, measured: list[Figures], own: list[tuple[float, float]], best: int) -> list[Result]:
    what = _describe(sent)
    rate = statistics.median(each.rate for each in measured)
    ratio = statistics.median(each.rate / other for each, (other, _) in zip(measured, own, strict=True))
    filled = statistics.median(each.filled for each in measured)
    waste = statistics.median(1 - each.filled / each.places for each in measured)
    cpu = statistics.median(sum(each.cpu_ms.values()) for each in measured)
    own_cpu = statistics.median(cpu for _, cpu in own)
    ideal = f"OpenVINO in process, batches of {best}, {statistics.median(rate for rate, _ in own):.0f} texts/s"
    return [
        Result(f"text encoding: rate, {what}", rate, "texts/s", ideal, ratio, "ratio >= 0.9"),
        Result(f"text encoding: CPU of a text, {what}", cpu, "ms", f"OpenVINO in process, {own_cpu:.2f} ms: "
            + _describe_cpu(measured), own_cpu / cpu, "ratio >= 0"),
        Result(f"text encoding: tokens in a batch, {what}", filled, "tokens", f"budget, {SHAPES.budget} tokens",
            filled / SHAPES.budget, "ratio >= 0.8"),
        Result(f"text encoding: padding, {what}", waste, "share", "", None, "value <= 0.1"),
    ]  # fmt: skip


def _describe(sent: Sent) -> str:
    if sent == STREAM:
        return "one stream"
    return f"{sent[0]} calls of {sent[1]} text{'s' if sent[1] > 1 else ''} in flight"


def _describe_cpu(measured: list[Figures]) -> str:
    names = measured[0].cpu_ms
    medians = {name: statistics.median(each.cpu_ms[name] for each in measured) for name in names}
    return ", ".join(f"{name} {value:.2f}" for name, value in medians.items())


def _log(sent: Sent, own: tuple[float, float], measured: Figures) -> None:
    told = {
        "sent": _describe(sent),
        "in_process": round(own[0]),
        "in_process_cpu_ms": round(own[1], 3),
        "gateway": round(measured.rate),
        "ratio": round(measured.rate / own[0], 3),
        "cpu_ms": {name: round(value, 3) for name, value in measured.cpu_ms.items()},
        "tokens": round(measured.filled),
        "padding": round(1 - measured.filled / measured.places, 3),
        "answered": round(measured.answered, 3),
    }
    sys.stderr.write(json.dumps(told) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.encoding", __doc__, measure, PARTS["encoding"].options, arguments)
