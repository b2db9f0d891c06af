"""The model of a run before its training: base model, tokenizer and cache of texts, on the run's device."""

import logging

import torch

from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.encoders.model import PortraitModel, TextCache
from portrait.training.errors import TrainingError
from portrait.training.settings import TrainSettings

MAX_UNKNOWN_TOKEN_SHARE = 0.1
"""Share of unknown tokens above which a warning says that the base model knows too few words of the texts."""

_log = logging.getLogger(__name__)

UntrainedModel = tuple[PortraitModel, TextCache, TextTokenizer]
"""A model that is not trained yet, the cache of the texts that it encodes, and its tokenizer."""


def make_untrained_model(
    corpus: Corpus, holdout: Holdout, settings: TrainSettings, device: torch.device
) -> UntrainedModel:
    """Make the model of a run, the same for the same seed.

    Raises:
        TrainingError: the base model can't be read, or its tokenizer knows no word of the texts.
    """
    torch.manual_seed(settings.seed)
    tokenizer = load_tokenizer(settings.base_model)
    _require_known_tokens(tokenizer.unknown_token_share(corpus.texts), settings.base_model)
    model = PortraitModel(settings, len(corpus.items))
    model.text.require_vocabulary(tokenizer)
    model.zero_residuals(holdout.item_counts == 0)
    model.to(device)
    cache = TextCache(model.text, tokenizer, corpus.texts, settings.precision, settings.gradient_checkpointing_texts)
    return model, cache, tokenizer


def _require_known_tokens(share: float, base_model: str) -> None:
    """Refuse a tokenizer that knows no word of the texts; warn about one that knows few."""
    if share == 1.0:
        raise TrainingError(
            f"the tokenizer of the base model {base_model!r} knows none of the words of the data set; name a model of "
            "their language with --base-model"
        )
    if share > MAX_UNKNOWN_TOKEN_SHARE:
        _log.warning(
            "warning: the base model %s does not know %.0f%% of what the texts consist of; name one of their language "
            "with --base-model, such as bert-base-chinese for Chinese", base_model, 100 * share,
        )  # fmt: skip
