"""A small corpus whose shoppers search, buy baskets and come back to known items."""

import pytest
from support import tiny_data

from portrait.training.baselines.protocol import Task
from portrait.training.dataset.corpus import Corpus, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(tiny_data.write(tmp_path_factory.mktemp("data"), shoppers=20, events=16))


@pytest.fixture(scope="session", params=list(Split))
def task(corpus: Corpus, request: pytest.FixtureRequest) -> Task:
    return Task(corpus, hold_out(corpus, request.param))
