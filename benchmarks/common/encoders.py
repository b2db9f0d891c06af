"""The text encoder in process: the same graph and threads in each runtime, with ideal batches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import openvino  # type: ignore[import-untyped]
from numpy.typing import NDArray

from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.inference.texts import SHAPES

Array = NDArray[np.float32]
Encoder = Callable[[NDArray[np.int64], NDArray[np.int64]], Array]
"""`input_ids, attention_mask [texts, tokens]` → `[texts, dimension]`."""

OUTPUT = "embedding"


def open_onnxruntime_encoder(path: Path, threads: int) -> Encoder:
    """Open an encoder in ONNX Runtime with its default CPU kernels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run([OUTPUT], {"input_ids": ids, "attention_mask": mask})[0]


def open_openvino_encoder(path: Path, threads: int) -> Encoder:
    """Open an encoder in OpenVINO with the options of the text encoder's configuration; bfloat16 if the CPU has it."""
    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(str(path), "CPU", properties).create_infer_request()

    def encode(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Array:
        return np.array(request.infer({"input_ids": ids, "attention_mask": mask})[OUTPUT])

    return encode


def encode_texts(encode: Encoder, tokenizer: TextTokenizer, texts: Sequence[str]) -> Array:
    """Encode texts to `[texts, dimension]`; texts of similar length share a batch within the gateway's token budget."""
    rows = tokenizer.encode(texts)
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    parts, place = [], 0
    while place < len(order):
        end = place + 1
        while end < len(order) and (end + 1 - place) * len(rows[order[end]]) <= SHAPES.budget:
            end += 1
        batch = tokenizer.pad([rows[each] for each in order[place:end]])
        parts.append(encode(batch.input_ids, batch.attention_mask))
        place = end
    together = np.concatenate(parts)
    placed = np.empty_like(together)
    placed[order] = together
    return placed
