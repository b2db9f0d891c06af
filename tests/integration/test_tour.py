"""docs/tour.md, command by command: the page is run as it stands, in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.ports import find_free_port

TOP = Path(__file__).parents[2]
SECONDS = 900
"""Far more than it takes on a machine that does nothing else."""
_MARK = "=== tour ==="


def consoles(page: str) -> dict[str, list[str]]:
    """Each command of the page's consoles, in order, and the lines that the page prints below it."""
    found: dict[str, list[str]] = {}
    for console in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in console.splitlines():
            if line.startswith("$ "):
                lines = found.setdefault(line.removeprefix("$ "), [])
            elif line != "…":
                lines.append(line)
    return found


TYPED = consoles((TOP / "docs/tour.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of each command."""
    folder = tmp_path_factory.mktemp("tour")
    (folder / "docs").symlink_to(TOP / "docs")
    typed = list(TYPED)
    steps = [f"echo '{_MARK}'\n{line}" for line in typed]
    script = "\n".join(["set -e", "trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT", *steps])
    port = find_free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORTRAIT_PORT": str(port),
        "PORTRAIT_METRICS_PORT": "0",
        "PORTRAIT_ADDRESS": f"localhost:{port}",
        "COLUMNS": "200",
    }
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    printed = ended.stdout.split(f"{_MARK}\n")[1:]
    failed = f"{typed[len(printed) - 1]!r} failed: {ended.stderr[-2000:]}" if printed else ended.stderr
    assert ended.returncode == 0, failed
    return dict(zip(typed, printed, strict=True))


def output(told: dict[str, str], command: str) -> str:
    """The output of the only command that has some words in it."""
    [found] = [printed for typed, printed in told.items() if command in typed]
    return found


def test_the_page_prints_what_is_printed(told: dict[str, str]) -> None:
    for typed, lines in TYPED.items():
        printed = [line.rstrip() for line in told[typed].splitlines()]
        assert set(lines) <= set(printed), typed


def test_the_model_learns_something(told: dict[str, str]) -> None:
    assert "20,927" in output(told, "portrait prepare")
    row = next(line for line in output(told, "portrait evaluate").splitlines() if "NDCG@10" in line)
    ours, *_, popularity = re.findall(r"0?\.\d{3,}", row)
    assert float(ours) > float(popularity)
    assert "will_purchase_30d" in output(told, "portrait train-traits")
    assert output(told, "portrait export").count("triton") == 4  # parity of each graph


def test_the_profile_says_what_the_log_shows(told: dict[str, str]) -> None:
    assert "20,927 accepted, 0 duplicates, 0 rejected" in output(told, "portrait record")
    profile = output(told, "--traits")
    assert "- Cares most for" in profile
    assert re.search(r"will_purchase_30d\t\d+%", profile)
    labelled = output(told, "--label")
    assert re.search(r"things for pets\t\d+% of shoppers", labelled)
    explained = output(told, "explain shopper-003 --as-of")
    assert "the whole profile" in explained
    assert "oat drink" in explained


def test_an_audience_is_found(told: dict[str, str]) -> None:
    assert re.search(r"about \d+ of \d+ shoppers", output(told, "audience estimate"))


def test_what_is_asked_for_is_found(told: dict[str, str]) -> None:
    recommended = output(told, "recommend shopper-003 --k 5")
    assert re.search(r"^5\t", recommended, re.MULTILINE)
    searched = output(told, "recommend shopper-003 --query")
    first = next(line for line in searched.splitlines() if line.startswith("1\t"))
    assert "garden hose" in first
    ranked = output(told, "portrait rank")
    assert {"lamps-0-1", "garden-0-1", "coffee-0-1"} <= set(re.findall(r"[a-z]+-\d-\d", ranked))
    assert re.search(r"hose\t\+\d", output(told, "explain shopper-003 --item"))


def test_another_catalogue_answers(told: dict[str, str]) -> None:
    assert "3 stored, 0 rejected" in output(told, "portrait upsert")
    assert "When your parcel comes" in output(told, "recommend shopper-003 --catalogue")


def test_the_applications_run(told: dict[str, str]) -> None:
    assert re.search(r": score \d", output(told, "product_recommendation"))
    assert "'garden hose' for anybody" in output(told, "personalised_search")
    served = output(told, "customer_service")
    assert "the latest orders" in served
    assert "- Cares most for" in served
    credit = output(told, "financial_risk")
    assert "not known" in credit
    assert all("only up to" in line for line in credit.splitlines() if "credit card" in line)
