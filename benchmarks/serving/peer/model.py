"""The model that every peer serves: texts to embeddings by the same graph, runtime, tokenizer and threads.

Within a batch that a peer has gathered, like lengths go together within the gateway's own budget of tokens: what a
careful team would write into its handler.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.common.encoders import Array, encode_texts, open_openvino_encoder
from portrait.features.text.tokenizer import TextTokenizer

REPOSITORY, MODEL, TOKENIZER, THREADS, BATCH, WAIT_MS, PORT = (
    f"PEER_{name}" for name in ("REPOSITORY", "MODEL", "TOKENIZER", "THREADS", "BATCH", "WAIT_MS", "PORT")
)
"""Environment variables with the settings of a peer, whose workers are processes of their own."""


def read_number(variable: str) -> int:
    """Read a number from an environment variable."""
    return int(os.environ[variable])


def read_repository() -> Path:
    """Read the path of the model repository."""
    return Path(os.environ[REPOSITORY])


def open_encoder() -> Callable[[Sequence[str]], Array]:
    """Open the encoder: texts → `[texts, dimension]`."""
    runtime = open_openvino_encoder(Path(os.environ[MODEL]), read_number(THREADS))
    return partial(encode_texts, runtime, TextTokenizer.load(Path(os.environ[TOKENIZER])))
