"""Names of files for libraries that read names as UTF-8, in locales that are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portrait.features.files.path_names import utf8_path


def test_a_name_is_that_of_the_disk_whatever_the_locale(tmp_path: Path) -> None:
    folder = tmp_path / "données 台灯"
    folder.mkdir()
    program = (
        "import sys; from pathlib import Path; from portrait.features.files.path_names import utf8_path; "
        "sys.stdout.buffer.write(utf8_path(next(Path(sys.argv[1]).iterdir())).encode())"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], env=environment, stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.decode() == str(folder) == utf8_path(folder)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is not UTF-8"):
        utf8_path(tmp_path / "\udcff")
