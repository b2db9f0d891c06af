"""The whole way on one data set, as a user would go it: logs, model, release, gateway, a profile to read.

It runs the `portrait` commands in their order, calls the gateway with the client, and prints what came of it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from portrait.client import Client, Event, EventType
from portrait.client.outputs import TableConsole
from portrait.client.tables import print_events, print_profile, print_ranking

SHOWN_EVENTS = 10
SENT_EVENTS = 500
FEWEST_EVENTS, MAX_EVENTS = 5, 400
READY_SECONDS = 120
END_SECONDS = 60
CALL_SECONDS = 60
"""A machine that has just trained a model may be busy: the client goes on trying for so long."""
SHOPPER = "demo-shopper"
"""The shopper's id at the gateway: ids of the data set are nobody's business."""

console = TableConsole()


def main() -> None:
    """Run the demo; an error ends it with one line and exit code 1."""
    options = read_options()
    try:
        run(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # whatever it is, its reader has no use for a traceback
        text = " ".join(str(error).split())
        sys.exit(f"error: {type(error).__name__}: {text}" if text else f"error: {type(error).__name__}")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a source that `portrait prepare` knows; default: complete-journey")
    parser.add_argument("--work", type=Path, default=Path("var/demo"), help="where everything is written")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Go the whole way."""
    began = time.monotonic()
    name = options.data.resolve().name if options.data else "complete-journey"
    work = options.work / name
    data, run = work / "data", work / "run"
    prepare(options.data, data)
    train(data, run)
    portrait("evaluate", run)
    repository = work / "model_repository"
    portrait("export", run, "--repository", repository)
    with gateway(repository, work) as ready:
        show(data, ready)
    report = json.loads((data / "report.json").read_text(encoding="utf-8"))
    console.print(
        f"\nTriton {ready['triton']} (real, embedded), release {ready['release']}, data set {report['source']}: "
        f"{report['kept']:,} events of {report['shoppers']:,} shoppers; {time.monotonic() - began:.0f} s in all."
    )
    if report["source"] == "complete-journey":
        console.print("The publisher of this data set, 84.51°, calls it simulated.")


def prepare(source: Path | None, data: Path) -> None:
    """Prepare the data set."""
    portrait("prepare", *([source] if source else ["--source", "complete-journey"]), data)


def train(data: Path, run: Path) -> None:
    """Train, or go on with a run that was interrupted; one that has ended is kept."""
    if (run / "model.pt").exists():
        console.print(f"{run} is trained already; remove it to train anew")
        return
    portrait("train", data, run, *(["--resume"] if (run / "settings.json").exists() else []))


def portrait(*arguments: object) -> None:
    """Run a command; the demo ends with it if it fails."""
    words = [str(each) for each in arguments]
    console.rule(f"portrait {' '.join(words)}", align="left")
    began = time.monotonic()
    ended = subprocess.run([Path(sys.executable).parent / "portrait", *words], check=False)  # noqa: S603
    if ended.returncode:
        sys.exit(ended.returncode)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/dim]")


@contextmanager
def gateway(repository: Path, work: Path) -> Iterator[dict[str, Any]]:
    """A gateway on a free port; yields what it said when it was ready."""
    state, log = work / "state.db", work / "gateway.log"
    for stale in work.glob("state.db*"):
        stale.unlink()
    command = [
        str(Path(sys.executable).parent / "portrait"), "serve", "--repository", str(repository), "--state", str(state),
        "--port", "0", "--metrics-port", "0", "--triton-log", str(work / "triton.log"),
    ]  # fmt: skip
    console.rule("portrait serve", align="left")
    with log.open("wb") as lines, subprocess.Popen(command, stderr=lines) as process:  # noqa: S603
        try:
            yield _until_ready(process, log)
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a gateway: asked first, killed when it takes too long."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until_ready(process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"ready"' in line:
                said: dict[str, Any] = json.loads(line)
                console.print(f"ready at {said['address']}: release {said['release']}, Triton {said['triton']}")
                return said
        time.sleep(0.2)
    sys.exit(f"the gateway did not start; see {log}")


def show(data: Path, ready: dict[str, Any]) -> None:
    """Record one shopper's events and print what Portrait makes of them."""
    history, titles = _history(data)
    with Client(ready["address"], timeout=CALL_SECONDS) as client:
        timed = history[-1].time is not None
        if timed:
            client.record_events([(SHOPPER, event) for event in history])
        shopper = SHOPPER if timed else history
        as_of = _after(history)
        latest = [(event, titles.get(event.item_id, event.item_id)) for event in history[-SHOWN_EVENTS:]]
        console.rule("what the shopper did last", align="left")
        print_events(console, latest, f"{len(latest)} of {len(history):,} events")
        console.rule("what Portrait says", align="left")
        print_profile(console, client.get_profile(shopper, as_of=as_of))
        ranking = client.recommend(shopper, as_of=as_of, k=10)
        print_ranking(console, ranking, "ten recommendations")
        query = next((event.query for event in reversed(history) if event.query), None)
        if query:
            asked = client.recommend(shopper, query=query, as_of=as_of, k=10)
            print_ranking(console, asked, f"ten recommendations for the query {query!r}")


def _history(data: Path) -> tuple[list[Event], dict[str, str]]:
    """The events of one shopper with a history of middling length, and the titles of their items."""
    events = pl.scan_parquet(data / "events.parquet", glob=False, hive_partitioning=False)
    lengths = events.group_by("shopper_id").len().filter(pl.col("len").is_between(FEWEST_EVENTS, MAX_EVENTS))
    chosen = lengths.sort("len", "shopper_id").collect()
    shopper_id = chosen["shopper_id"][int(0.8 * len(chosen))]
    rows = events.filter(pl.col("shopper_id") == shopper_id).sort("sequence").tail(SENT_EVENTS).collect()
    titles = pl.read_parquet(data / "items.parquet", columns=["item_id", "title"], glob=False, hive_partitioning=False)
    wanted = titles.filter(pl.col("item_id").is_in(rows["item_id"].drop_nulls().unique().to_list()))
    return [_event(place, row) for place, row in enumerate(rows.iter_rows(named=True))], dict(wanted.iter_rows())


def _event(place: int, row: dict[str, Any]) -> Event:
    names = ("time", "catalogue", "price", "quantity", "rating", "dwell_seconds", "position")
    return Event(
        type=EventType(row["type"]),
        event_id=f"event-{place}",
        item_id=row["item_id"] or "",
        query=row["query"] or "",
        **{name: row[name] for name in names},
    )


def _after(history: list[Event]) -> datetime | None:
    """A day after the last event: the data are old, and the shopper is meant as of then."""
    last = history[-1].time
    return last + timedelta(days=1) if last else None


if __name__ == "__main__":
    main()
