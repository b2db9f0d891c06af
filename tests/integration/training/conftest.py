"""One run from a log to a model, made by the commands that a user calls."""

from pathlib import Path

import pytest
from support import tiny_data, tiny_log
from support.command_line import run_portrait
from support.tiny_log import Shop


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a base model with random weights."""
    return tiny_data.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    log = tiny_log.write(folder / "log")
    bert = tiny_data.write_bert(folder / "bert")
    settings = folder / "settings.json"
    settings.write_text('{"dimension": 16, "max_epochs": 1, "batch_events": 512}', encoding="utf-8")
    options = ("--base-model", bert, "--settings", settings, "--split", "time")
    for command in (("prepare", log, folder / "data"), ("train", folder / "data", folder / "run", *options)):
        ended = run_portrait(*command)
        assert ended.code == 0, ended
    return Shop(log, folder / "data", folder / "run", options)


@pytest.fixture(scope="module", autouse=True)
def each_graph_is_traced_once(traced_graphs: None) -> None:
    """Have all tests of this folder share traced graphs."""
