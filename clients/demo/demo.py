"""Demo: from event logs to a model, a release, a gateway and a printed profile, on one data set.

It runs the `portrait` commands in order, calls the gateway with the client, and prints the results.
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

PRINTED_EVENTS = 10
MAX_SENT_EVENTS = 500
MIN_EVENTS, MAX_EVENTS = 5, 400
START_SECONDS = 120
STOP_SECONDS = 60
CALL_SECONDS = 60
"""Time limit of a call: a machine that has just trained a model may still be busy."""
SHOPPER = "demo-shopper"
"""The shopper's id at the gateway, so that the ids of the data set stay private."""

console = TableConsole()


def main() -> None:
    """Run the demo; an error ends it with one line and exit code 1."""
    options = read_options()
    try:
        run(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # a user of the demo has no use for a traceback
        text = " ".join(str(error).split())
        sys.exit(f"error: {type(error).__name__}: {text}" if text else f"error: {type(error).__name__}")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a source that `portrait prepare` reads; default: complete-journey")
    parser.add_argument("--work", type=Path, default=Path("var/demo"), help="folder for all output")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Run all steps."""
    began = time.monotonic()
    name = options.data.resolve().name if options.data else "complete-journey"
    work = options.work / name
    data, run = work / "data", work / "run"
    prepare(options.data, data)
    train(data, run)
    run_command("evaluate", run)
    repository = work / "model_repository"
    run_command("export", run, "--repository", repository)
    with run_gateway(repository, work) as ready:
        print_results(data, ready)
    report = json.loads((data / "report.json").read_text(encoding="utf-8"))
    console.print(
        f"\nTriton {ready['triton']} (real, embedded), release {ready['release']}, data set {report['source']}: "
        f"{report['kept']:,} events of {report['shoppers']:,} shoppers; {time.monotonic() - began:.0f} s in all."
    )
    if report["source"] == "complete-journey":
        console.print("The publisher of this data set, 84.51°, calls it simulated.")


def prepare(source: Path | None, data: Path) -> None:
    """Prepare the data set."""
    run_command("prepare", *([source] if source else ["--source", "complete-journey"]), data)


def train(data: Path, run: Path) -> None:
    """Train, or resume an interrupted run; a finished run is kept."""
    if (run / "model.pt").exists():
        console.print(f"{run} is already trained; delete it to train again")
        return
    run_command("train", data, run, *(["--resume"] if (run / "settings.json").exists() else []))


def run_command(*arguments: object) -> None:
    """Run a command of `portrait`; the demo ends if it fails."""
    words = [str(each) for each in arguments]
    console.rule(f"portrait {' '.join(words)}", align="left")
    began = time.monotonic()
    ended = subprocess.run([Path(sys.executable).parent / "portrait", *words], check=False)  # noqa: S603
    if ended.returncode:
        sys.exit(ended.returncode)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/dim]")


@contextmanager
def run_gateway(repository: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Run a gateway on a free port; yields the log line that it writes when it is ready."""
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
            yield _wait_until_ready(process, log)
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a gateway; kill it if it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"ready"' in line:
                ready: dict[str, Any] = json.loads(line)
                console.print(f"ready at {ready['address']}: release {ready['release']}, Triton {ready['triton']}")
                return ready
        time.sleep(0.2)
    sys.exit(f"the gateway did not start; see {log}")


def print_results(data: Path, ready: dict[str, Any]) -> None:
    """Record one shopper's events, and print the profile and recommendations."""
    history, titles = _read_history(data)
    with Client(ready["address"], timeout=CALL_SECONDS) as client:
        timed = history[-1].time is not None
        if timed:
            client.record_events([(SHOPPER, event) for event in history])
        shopper = SHOPPER if timed else history
        as_of = _day_after(history)
        latest = [(event, titles.get(event.item_id, event.item_id)) for event in history[-PRINTED_EVENTS:]]
        console.rule("latest events of the shopper", align="left")
        print_events(console, latest, f"{len(latest)} of {len(history):,} events")
        console.rule("profile and recommendations", align="left")
        profile = client.get_profile(shopper, as_of=as_of)
        print_profile(console, profile)
        console.print(
            f"{len(history) - profile.event_count:,} of {len(history):,} events are withheld from the profile: they "
            "are of sensitive topics, or of items that need a declared age."
        )
        ranking = client.recommend(shopper, as_of=as_of, k=10)
        print_ranking(console, ranking, "ten recommendations")
        query = next((event.query for event in reversed(history) if event.query), None)
        if query:
            by_query = client.recommend(shopper, query=query, as_of=as_of, k=10)
            print_ranking(console, by_query, f"ten recommendations for the query {query!r}")


def _read_history(data: Path) -> tuple[list[Event], dict[str, str]]:
    """Read the events of one shopper with a fairly long history, and the titles of their items."""
    events = pl.scan_parquet(data / "events.parquet", glob=False, hive_partitioning=False)
    lengths = events.group_by("shopper_id").len().filter(pl.col("len").is_between(MIN_EVENTS, MAX_EVENTS))
    chosen = lengths.sort("len", "shopper_id").collect()
    shopper_id = chosen["shopper_id"][int(0.8 * len(chosen))]
    rows = events.filter(pl.col("shopper_id") == shopper_id).sort("sequence").tail(MAX_SENT_EVENTS).collect()
    titles = pl.read_parquet(data / "items.parquet", columns=["item_id", "title"], glob=False, hive_partitioning=False)
    wanted = titles.filter(pl.col("item_id").is_in(rows["item_id"].drop_nulls().unique().to_list()))
    return [_make_event(place, row) for place, row in enumerate(rows.iter_rows(named=True))], dict(wanted.iter_rows())


def _make_event(place: int, row: dict[str, Any]) -> Event:
    names = ("time", "catalogue", "price", "quantity", "rating", "dwell_seconds", "position")
    return Event(
        type=EventType(row["type"]),
        event_id=f"event-{place}",
        item_id=row["item_id"] or "",
        query=row["query"] or "",
        **{name: row[name] for name in names},
    )


def _day_after(history: list[Event]) -> datetime | None:
    """Return the time one day after the last event: the data are old, and the profile describes that time."""
    last = history[-1].time
    return last + timedelta(days=1) if last else None


if __name__ == "__main__":
    main()
