"""A real gateway as its users run it: `portrait serve` in a process of its own, on a free port, with real Triton."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc

from portrait.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from portrait.v1.event_service_pb2_grpc import EventServiceStub
from portrait.v1.profile_service_pb2_grpc import ProfileServiceStub
from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from portrait.v1.text_service_pb2_grpc import TextServiceStub

if TYPE_CHECKING:
    from portrait.v1.catalogue_service_pb2_grpc import CatalogueServiceAsyncStub
    from portrait.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from portrait.v1.profile_service_pb2_grpc import ProfileServiceAsyncStub
    from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceAsyncStub
    from portrait.v1.text_service_pb2_grpc import TextServiceAsyncStub

_READY_SECONDS = 120.0
_END_SECONDS = 40.0
_LOG_SECONDS = 30.0
_POLL_SECONDS = 0.01
_TRITON_PORT = 8001
"""Triton appends its port to the path of a socket."""
_BUILD_AUDIENCE_TABLE = (
    "import typer; from portrait.server.commands import build_audience_table; typer.run(build_audience_table)"
)


@dataclass
class RunningGateway:
    """A running gateway and the log that it has written so far."""

    process: subprocess.Popen[str]
    logged: list[dict[str, Any]] = field(default_factory=list)
    """The log lines that a thread has read: one that was just written may be missing."""
    ready: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)
    """Set once the whole log is read."""

    def lines(self, event: str, count: int = 1, **fields: object) -> list[dict[str, Any]]:
        """Log lines of an event, once there are at least `count`: the log comes through a pipe.

        Args:
            event: their event.
            count: how many to wait for.
            fields: values of further fields, for example of the request id.
        """
        wanted = {"event": event, **fields}
        until = time.monotonic() + _LOG_SECONDS
        while True:
            is_last_look = self.has_ended.is_set() or time.monotonic() > until
            found = [line for line in self.logged if wanted.items() <= line.items()]
            if len(found) >= count:
                return found
            assert not is_last_look, f"{len(found)} lines of {wanted} in:\n{self.log_text}"
            time.sleep(_POLL_SECONDS)

    def line(self, event: str, **fields: object) -> dict[str, Any]:
        """The last log line of an event; waits for the first."""
        return self.lines(event, **fields)[-1]

    @property
    def address(self) -> str:
        """host:port of the gRPC endpoint."""
        return str(self.line("ready")["address"])

    def argument(self, option: str) -> str:
        """The value of an option of the command."""
        arguments = self.process.args
        assert isinstance(arguments, list)
        return str(arguments[arguments.index(option) + 1])

    @property
    def log_text(self) -> str:
        """All that was logged."""
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in self.logged)

    def triton_pid(self) -> int:
        """Process id of the Triton that the gateway started."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        [triton] = [
            child for child in children if "tritonserver" in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8")
        ]
        return int(triton)

    def triton_url(self) -> str:
        """Address of the Triton that the gateway started, the same over its restarts; other gateways may use it too."""
        words = Path(f"/proc/{self.triton_pid()}/cmdline").read_text(encoding="utf-8").split("\0")
        [address] = [word.partition("=")[2] for word in words if word.startswith("--grpc-address=")]
        return f"{address}:{_TRITON_PORT}"

    def terminate(self) -> int:
        """Send SIGTERM, and SIGKILL to a gateway that does not end by itself; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def read(self) -> None:
        """Collect the log until the process ends."""
        assert self.process.stderr is not None
        for text in self.process.stderr:
            # The C core of grpc has a log of its own.
            line = json.loads(text) if text.startswith("{") else {"event": text}
            self.logged.append(line)
            if line["event"] == "ready":
                self.ready.set()
        self.has_ended.set()
        self.ready.set()


@dataclass
class Stubs:
    """The generated stubs over one channel."""

    channel: grpc.aio.Channel
    catalogue: "CatalogueServiceAsyncStub"
    events: "EventServiceAsyncStub"
    profiles: "ProfileServiceAsyncStub"
    recommendations: "RecommendationServiceAsyncStub"
    texts: "TextServiceAsyncStub"

    @classmethod
    def over(cls, channel: grpc.aio.Channel) -> Self:
        return cls(
            channel,
            CatalogueServiceStub(channel),
            EventServiceStub(channel),
            ProfileServiceStub(channel),
            RecommendationServiceStub(channel),
            TextServiceStub(channel),
        )


def serve_command(repository: Path | None, folder: Path, *arguments: str) -> list[str]:
    """`portrait serve` on free ports, keeping its files in a folder, unless its tenants name repositories and files.

    It ends without a drain, and calls without a deadline have time on a busy machine too, unless `arguments` say more.
    """
    shop = {
        "--repository": repository, "--state": folder / "portrait.db", "--triton-log": folder / "triton.log",
        "--audiences": folder / "audiences",
    }  # fmt: skip
    return [
        str(Path(sys.executable).parent / "portrait"),
        "serve",
        *(str(word) for option in shop.items() if repository for word in option),
        *("--port", "0", "--metrics-port", "0", "--drain-seconds", "0", "--default-deadline-seconds", "60"),
        *arguments,
    ]


@contextmanager
def run_gateway(
    repository: Path | None, folder: Path, *arguments: str, within: Sequence[str] = ()
) -> Iterator[RunningGateway]:
    """Run a gateway until the end of the block, if it does not end before.

    Args:
        repository: what it serves; None if it has tenants.
        folder: where it keeps its files.
        arguments: of `portrait serve`.
        within: a command that runs it, for example in namespaces of its own.
    """
    process = subprocess.Popen(
        [*within, *serve_command(repository, folder, *arguments)],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    served = RunningGateway(process)
    reader = threading.Thread(target=served.read, daemon=True)
    reader.start()
    try:
        assert served.ready.wait(_READY_SECONDS), served.log_text
        assert process.poll() is None, served.log_text
        yield served
    finally:
        if process.poll() is None:
            served.terminate()
        # What the gateway started must not outlive it: it would hold the log open.
        assert served.has_ended.wait(_END_SECONDS), f"another process still writes to the log:\n{served.log_text}"


def build_audience_table(repository: Path, folder: Path, *arguments: str) -> dict[str, object]:
    """Run `portrait build-audience-table`; returns the last line of its log."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", _BUILD_AUDIENCE_TABLE, "--repository", str(repository)),
            *("--state", str(folder / "portrait.db"), "--audiences", str(folder / "audiences")),
            *("--triton-log", str(folder / "audience-table.log"), *arguments),
        ],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        env=os.environ | {"GRPC_VERBOSITY": "NONE"},
    )
    assert done.returncode == 0, done.stderr
    assert "shopper-" not in done.stderr
    line: dict[str, object] = json.loads(done.stderr.splitlines()[-1])
    return line
