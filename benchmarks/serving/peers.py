"""Text encoding beside other servers: `python -m benchmarks serving.peers REPOSITORY`.

The same graph (the release's text encoder, in OpenVINO), tokenizer, threads and texts: in process, through Triton
alone, LitServe, mosec, and the gateway. One text a request, 64 in flight; then at random times, at 70% of each
server's own rate. Of several sizes of batch and waits, each peer gets those that were best in a trial. All take their
turn in each of some rounds, and figures are medians of the rounds. What the load generator takes is missing from all of
them alike.
"""

import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.common import gateway
from benchmarks.common.cli import run_part
from benchmarks.common.encoders import Encoder, encode_texts, open_onnxruntime_encoder, open_openvino_encoder
from benchmarks.common.load.generator import CallResult
from benchmarks.common.load.rates import compute_rate
from benchmarks.common.targets import Result
from benchmarks.serving import senders
from benchmarks.serving.parts import PARTS
from benchmarks.serving.peer import model
from benchmarks.serving.peer.processes import run_peer, wait_until_answering
from benchmarks.serving.senders import Target
from portrait.features.events import Item
from portrait.features.release import layout as release_layout
from portrait.features.text.normalisation import item_text
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.triton import EmbeddedTriton

TEXTS, TRIAL_TEXTS, ROUNDS = 3_000, 1_000, 3
IN_FLIGHT = 64
OPEN_LOAD_SHARE = 0.7
"""Share of a server's own rate, in the open loop."""
GATEWAY = "the gateway"
BATCHES = ((16, 0), (32, 2), (64, 5))
"""Settings that are tried: maximum texts in a batch, and milliseconds that it waits for them."""
_MODEL = "text_encoder"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class ServerFigures:
    """A server under load."""

    rate: float
    """Texts a second, with 64 in flight."""
    p50: float
    """Seconds, with 64 in flight."""
    p99: float
    open_p50: float
    """Seconds, at 70% of its rate."""
    open_p99: float


Start = Callable[[], AbstractContextManager[Target]]


def choose_texts(repository: Path) -> list[str]:
    """Choose the texts that are encoded: titles and whole items, each text once, in random order."""
    number = release_layout.list_releases(repository)[-1]
    lines = (
        (release_layout.release_folder(repository, number) / release_layout.ITEMS)
        .read_text(encoding="utf-8")
        .splitlines()
    )
    items = [Item(**json.loads(line)) for line in lines]
    together = [*(item.title for item in items), *(item_text(item) for item in items)]
    texts = list(dict.fromkeys(together))
    random.Random(1).shuffle(texts)
    return texts[:TEXTS]


@contextmanager
def _run_http_peer(kind: str, repository: Path, threads: int, batch: int, wait: int) -> Iterator[Target]:
    """Run a peer in processes of its own; yield once it answers."""
    number = release_layout.list_releases(repository)[-1]
    tokenizer = release_layout.release_folder(repository, number) / release_layout.TOKENIZER
    told = {
        model.MODEL: release_layout.model_file(repository, _MODEL, number).absolute(),
        model.TOKENIZER: tokenizer.absolute(),
        model.THREADS: threads,
        model.BATCH: batch,
        model.WAIT_MS: wait,
    }
    with run_peer(kind, told) as peer:
        target = Target(kind, peer.address, tokenizer, number)
        wait_until_answering(kind, lambda: senders.send_load(target, ["a"], in_flight=1))
        yield target


@contextmanager
def _run_triton(repository: Path, threads: int, batch: int, wait: int) -> Iterator[Target]:
    """Run the embedded Triton with its dynamic batching."""
    number = release_layout.list_releases(repository)[-1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in release_layout.MODELS:
            shutil.copytree(repository / each / str(number), folder / each / str(number))
            shutil.copy(repository / each / "config.pbtxt", folder / each)
        config = folder / _MODEL / "config.pbtxt"
        batching = f"dynamic_batching {{ preferred_batch_size: {batch} max_queue_delay_microseconds: {1000 * wait} }}"
        of_threads = f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}'
        config.write_text(f"{config.read_text(encoding='utf-8')}\n{batching}\n{of_threads}\n", encoding="utf-8")
        tokenizer = release_layout.release_folder(repository, number) / release_layout.TOKENIZER
        with _run_in_thread(folder, number) as url:
            yield Target("triton", url, tokenizer, number)


@contextmanager
def _run_in_thread(repository: Path, number: int) -> Iterator[str]:
    """Run Triton on an event loop in a thread; yield its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    triton = EmbeddedTriton(repository, repository / "triton.log")

    async def start() -> str:
        await triton.__aenter__()
        await triton.load(number)
        return triton.url

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(_START_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(triton.__aexit__(None, None, None), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _run_gateway(repository: Path) -> Iterator[Target]:
    number = release_layout.list_releases(repository)[-1]
    with gateway.run_gateway(repository, "--text-cache-mib", "0") as served:
        yield Target(
            "gateway",
            served.address,
            release_layout.release_folder(repository, number) / release_layout.TOKENIZER,
            number,
        )


PEERS: dict[str, Callable[[Path, int, int, int], AbstractContextManager[Target]]] = {
    "Triton": _run_triton,
    "LitServe": partial(_run_http_peer, "litserve"),
    "mosec": partial(_run_http_peer, "mosec"),
}
"""By repository, threads, texts in a batch and milliseconds to wait for them."""


def measure_under_load(start: Start, texts: Sequence[str]) -> ServerFigures:
    """Measure a server's rate and latencies."""
    with start() as target:
        senders.send_load(target, texts[:TRIAL_TEXTS], in_flight=IN_FLIGHT)  # every shape is compiled
        closed = senders.send_load(target, texts, in_flight=IN_FLIGHT)
        rate = compute_rate(closed)
        opened = senders.send_load(target, texts, rate=OPEN_LOAD_SHARE * rate)
    served = ServerFigures(rate, *_compute_percentiles(closed), *_compute_percentiles(opened))
    _log(target.kind, served)
    return served


def choose_setting(starts: dict[str, Start], texts: Sequence[str]) -> str:
    """Choose the setting with which a server is fastest in a trial."""
    tried = {}
    for setting, start in starts.items():
        with start() as target:
            senders.send_load(target, texts[:TRIAL_TEXTS], in_flight=IN_FLIGHT)
            tried[setting] = compute_rate(senders.send_load(target, texts[:TRIAL_TEXTS], in_flight=IN_FLIGHT))
        _log(target.kind, setting, tried[setting])
    return max(tried, key=lambda setting: tried[setting])


def measure_in_process(encode: Encoder, tokenizer: TextTokenizer, texts: Sequence[str]) -> float:
    """Measure texts a second of a runtime that has all texts beforehand."""
    encode_texts(encode, tokenizer, texts[:TRIAL_TEXTS])
    began = time.perf_counter()
    encode_texts(encode, tokenizer, texts)
    return len(texts) / (time.perf_counter() - began)


def _compute_percentiles(answered: Sequence[CallResult]) -> tuple[float, float]:
    seconds = sorted(each.seconds for each in answered)
    return seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]


def measure(repository: Path, threads: int = os.cpu_count() or 1) -> list[Result]:
    """Measure all, one after another.

    Args:
        repository: model repository.
        threads: of every runtime.
    """
    texts = choose_texts(repository)
    number = release_layout.list_releases(repository)[-1]
    path = release_layout.model_file(repository, _MODEL, number)
    tokenizer = TextTokenizer.load(release_layout.release_folder(repository, number) / release_layout.TOKENIZER)
    runtimes = {
        "ONNX Runtime in process": open_onnxruntime_encoder(path, threads),
        "OpenVINO in process": open_openvino_encoder(path, threads),
    }
    settings: dict[str, str] = {GATEWAY: ""}
    starts: dict[str, Start] = {GATEWAY: partial(_run_gateway, repository)}
    for name, peer in PEERS.items():
        tried: dict[str, Start] = {
            f"batches of {batch}, {wait} ms": partial(peer, repository, threads, batch, wait) for batch, wait in BATCHES
        }
        settings[name] = choose_setting(tried, texts)
        starts[name] = tried[settings[name]]
    in_process_rates: dict[str, list[float]] = {name: [] for name in runtimes}
    served: dict[str, list[ServerFigures]] = {name: [] for name in starts}
    for _ in range(ROUNDS):
        for name, encode in runtimes.items():
            in_process_rates[name].append(measure_in_process(encode, tokenizer, texts))
            _log(name, in_process_rates[name][-1])
        for name, start in starts.items():
            served[name].append(measure_under_load(start, texts))
    return _make_results(in_process_rates, served, settings)


def _make_results(
    in_process_rates: dict[str, list[float]], served: dict[str, list[ServerFigures]], settings: dict[str, str]
) -> list[Result]:
    rates = {name: [each.rate for each in rounds] for name, rounds in served.items()}
    ours, ideal = rates[GATEWAY], in_process_rates["OpenVINO in process"]
    strongest = max(PEERS, key=lambda name: median(rates[name]))
    rows = [
        Result("peers: the gateway against the best of them", median(ours), "texts/s",
            f"{strongest}, {median(rates[strongest]):.0f} texts/s",
            _median_ratio(ours, rates[strongest]), "ratio >= 1.3"),
        *(Result(f"peers: {name}", median(rounds), "texts/s", "OpenVINO in process", _median_ratio(rounds, ideal),
            "value >= 0") for name, rounds in in_process_rates.items()),
    ]  # fmt: skip
    for name, rounds in served.items():
        told = "; ".join(filter(None, ("OpenVINO in process", settings[name], _format_latencies(rounds))))
        ratio = _median_ratio(rates[name], ideal)
        rows.append(Result(f"peers: {name}", median(rates[name]), "texts/s", told, ratio, "value >= 0"))
    return rows


def _median_ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the rounds' own ratios."""
    return median(rate / other for rate, other in zip(rates, others, strict=True))


def _format_latencies(rounds: Sequence[ServerFigures]) -> str:
    p50, p99, open_p50, open_p99 = (
        1000 * median(getattr(each, name) for each in rounds) for name in ("p50", "p99", "open_p50", "open_p99")
    )
    return (
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, at {OPEN_LOAD_SHARE:.0%} of its rate {open_p50:.0f} and {open_p99:.0f} ms"
    )


def _log(*told: object) -> None:
    sys.stderr.write(" ".join(map(str, told)) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.peers", __doc__, measure, PARTS["peers"].options, arguments)
