"""A log in a folder, prepared; what the tests of one source or rule start from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.prepared_data import Prepare, PreparedData, WriteLog

from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.sources import SOURCES


@pytest.fixture
def prepare_log(tmp_path: Path) -> Prepare:
    """Prepare a source's folder."""

    def run(path: Path, source: str = "events") -> PreparedData:
        output = tmp_path / "prepared"
        return PreparedData(
            prepare_data_set(source, lambda connection: SOURCES[source].load(connection, path), output), output
        )

    return run


@pytest.fixture
def write_log(tmp_path: Path) -> WriteLog:
    """Write files of text, bytes or JSON lines into a folder."""

    def write(**files: str | bytes | list[Mapping[str, Any]]) -> Path:
        folder = tmp_path / "log"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            stem, _, ending = name.rpartition("_")
            if isinstance(content, list):
                content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in content)
            data = content if isinstance(content, bytes) else content.encode()
            (folder / f"{stem}.{ending}").write_bytes(data)
        return folder

    return write
