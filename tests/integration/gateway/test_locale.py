"""Files, pipes and answers are UTF-8 where the locale is not: a Chinese and a French shop from log to audience."""

import csv
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import tiny_release
from support.gateway import run_gateway

from portrait.features.release.layout import MODELS

_PORTRAIT = str(Path(sys.executable).parent / "portrait")
_SHOPPERS = [f"顾客-é-{number}" for number in range(6)]
_ITEM = {
    "item_id": "台灯-été",
    "title": "红色台灯 d'été",
    "category_path": ["Décoration", "台灯"],
    "brand": "竹里馆",
    "attributes": {"颜色": "红色"},
    "price": 45,
}
_NOW = datetime.now(UTC).isoformat()


class Shell:
    """Runs commands in a locale that is not UTF-8: GB18030 where it can be made, else ASCII, which is always there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.encoding, name = folder, "ascii", "C"
        if shutil.which("localedef") and Path("/usr/share/i18n/charmaps/GB18030.gz").exists():
            made = ["localedef", "-i", "zh_CN", "-f", "GB18030", str(folder / "zh_CN.GB18030")]
            subprocess.run(made, check=True, capture_output=True)
            self.encoding, name = "gb18030", "zh_CN.GB18030"
        self.environment = os.environ | {
            "LC_ALL": name,
            "LOCPATH": str(folder),
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "GRPC_VERBOSITY": "NONE",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
        }
        said = self.run(sys.executable, "-c", "import locale; print(locale.getencoding())").lower()
        assert said.strip() in (self.encoding, "ansi_x3.4-1968")

    def run(self, *command: str | Path) -> str:
        """Run a command; returns what it wrote to stdout, which must be UTF-8."""
        done = subprocess.run(
            [bytes(each) if isinstance(each, Path) else each.encode(self.encoding) for each in command],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("locale"))


@pytest.fixture(scope="module")
def log(shell: Shell) -> Path:
    """A folder of events and items, whose name is UTF-8 on the disk."""
    folder = shell.folder / "données 台灯"
    folder.mkdir()
    (folder / "items.jsonl").write_text(json.dumps(_ITEM, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["shopper_id", "event_id", "type", "time", "item_id", "query"])
        for number, shopper in enumerate(_SHOPPERS):
            rows.writerow([shopper, f"{number}-é", "purchase", _NOW, _ITEM["item_id"], ""])
            rows.writerow([shopper, f"{number}-灯", "search", _NOW, "", "红色台灯"])
    return folder


def test_a_log_is_prepared(shell: Shell, log: Path) -> None:
    report = json.loads(shell.run(_PORTRAIT, "prepare", "--source", "events", "--json", log, log / "data"))
    assert report["source"] == "events"
    assert (report["read"], report["kept"]) == (12, 12)


@pytest.fixture(scope="module")
def repository(shell: Shell) -> Path:
    """A release whose categories and traits have Chinese names, written by a program in the locale."""
    folder = shell.folder / "model_repository"
    for model in MODELS:
        (folder / model).mkdir(parents=True)
    program = f"""if True:
        import sys
        sys.path.insert(0, {str(Path(tiny_release.__file__).parents[1])!r})
        from pathlib import Path
        from support import tiny_release
        tiny_release.TRAITS[0]["description"] = "\\u4e0d\\u518d\\u56de\\u6765"
        tiny_release.build(Path({str(folder)!r}), traits=True)
    """
    shell.run(sys.executable, "-c", program)
    return folder


def test_from_a_log_to_an_audience(shell: Shell, log: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LOCPATH", "PYTHONUTF8", "PYTHONCOERCECLOCALE"):
        monkeypatch.setenv(name, shell.environment[name])
    rules = [f"--consent-{purpose}=unless-withdrawn" for purpose in ("advertising", "demographics")]
    with run_gateway(repository, shell.folder, "--min-audience-size", "1", *rules) as served:
        monkeypatch.undo()
        shell.environment["PORTRAIT_ADDRESS"] = served.address

        def ask(*arguments: str | Path) -> str:
            return shell.run(_PORTRAIT, *arguments)

        assert "1 stored" in ask("upsert", log / "items.jsonl")
        assert "12 accepted" in ask("record", log / "events.csv")
        folders = ("--repository", str(repository), "--state", "portrait.db", "--audiences", "audiences")
        ask("build-audience-table", *folders, "--triton-log", "audience-table.log")
        seed = shell.folder / "seed.txt"
        seed.write_text("".join(f"{each}\n" for each in _SHOPPERS[:3]), encoding="utf-8")
        alike = ask("audience", "find", "--like", str(seed), "--top", "3").splitlines()
        assert set(alike) == set(_SHOPPERS[3:])
        if shell.encoding != "ascii":
            found = ask("audience", "find", "--interest", "Décoration > 台灯").splitlines()
            assert set(found) == set(_SHOPPERS)
            assert "Île-de-France 上海" in ask("set-demographics", _SHOPPERS[0], "--region", "Île-de-France 上海")
            profile = json.loads(ask("profile", _SHOPPERS[0], "--traits", "--json"))
            assert ["Décoration", "台灯"] in [each["category_path"] for each in profile["interests"]]
            assert profile["traits"][0]["description"] == "不再回来"
            told = json.loads(ask("recommend", _SHOPPERS[0], "--query", "台灯", "--json"))
            assert "红色台灯 d'été" in [each["item"]["title"] for each in told["items"]]
        assert [line for line in served.logged if line.get("code") == "INTERNAL"] == []
