"""A gateway for fault injection: two processes, TLS, a clock that steps, a log that another process reads."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.faults.certificates import Certificates
from benchmarks.common.gateway import wait_until_ready

PROCESSES = 2
_END_SECONDS = 60
_CLOCK_SOURCE = Path(__file__).parent / "clock.c"


@dataclass
class GatewayUnderTest:
    """A running gateway and the folder of its files."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: str
    metrics_url: str
    certificates: Certificates
    reader: subprocess.Popen[bytes]
    """Takes the gateway's log from a named pipe into a file."""

    @property
    def state(self) -> Path:
        """Its state file."""
        return state_path(self.folder)

    def set_clock(self, seconds: float) -> None:
        """Shift its wall clock against the machine's; the monotonic clock stays."""
        set_clock(self.folder, seconds)

    def read_log_again(self) -> None:
        """Start another reader of the log."""
        self.reader = start_reader(self.folder)

    def workers(self) -> list[int]:
        """Process ids of the gateway processes that serve."""
        return [pid for pid in _list_children(self.process.pid) if "portrait.server.worker" in _read_command(pid)]

    def triton(self) -> int | None:
        """Process id of Triton; None while there is none."""
        found = [pid for pid in _list_children(self.process.pid) if "tritonserver" in _read_command(pid)]
        return found[0] if found else None

    def stubs(self) -> list[int]:
        """Process ids of Triton's models."""
        triton = self.triton()
        return (
            []
            if triton is None
            else [pid for pid in _list_children(triton) if "python_backend_stub" in _read_command(pid)]
        )


@contextmanager
def run_gateway(repository: Path, folder: Path, *arguments: str) -> Iterator[GatewayUnderTest]:
    """Run the gateway until the end of the block; its files are in the folder.

    Args:
        repository: the model repository.
        folder: an empty folder.
        *arguments: more options of `portrait serve`.
    """
    certificates = Certificates.make(folder)
    os.mkfifo(_pipe_path(folder))
    set_clock(folder, 0.0)
    _build_clock(folder)
    reader = start_reader(folder)
    with _pipe_path(folder).open("wb") as log:
        process = subprocess.Popen(
            [*_make_command(repository, folder, certificates), *arguments], stderr=log, env=_make_environment(folder)
        )
    try:
        ready = wait_until_ready(process, log_path(folder))
        harmed = GatewayUnderTest(process, folder, str(ready["address"]), str(ready["metrics"]), certificates, reader)
        yield harmed
        reader = harmed.reader
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_END_SECONDS)
        reader.kill()
        reader.wait()


def start_reader(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that copies the log from its pipe into the log file."""
    with log_path(folder).open("ab") as log:
        return subprocess.Popen(["cat", str(_pipe_path(folder))], stdout=log)


def log_path(folder: Path) -> Path:
    """Return the path of the log file."""
    return folder / "gateway.log"


def state_path(folder: Path) -> Path:
    """Return the path of the gateway's state file."""
    return folder / "portrait.db"


def read_log_lines(folder: Path) -> list[dict[str, object]]:
    """Read all complete lines of the log."""
    lines = []
    for text in log_path(folder).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue  # the reader was killed in the middle of it
    return lines


def _make_command(repository: Path, folder: Path, certificates: Certificates) -> list[str]:
    return [
        str(Path(sys.executable).parent / "portrait"),
        *("serve", "--repository", str(repository), "--processes", str(PROCESSES), "--port", "0"),
        *("--state", str(state_path(folder)), "--audiences", f"{folder}/audiences", "--metrics-port", "0"),
        *("--triton-log", f"{folder}/triton.log"),
        *("--tls-certificate", str(certificates.certificate), "--tls-key", str(certificates.key)),
    ]


def _make_environment(folder: Path) -> dict[str, str]:
    clock = {"LD_PRELOAD": str(_library_path(folder)), "CHAOS_CLOCK": str(_clock_path(folder))}
    return {**os.environ, **clock}


def _build_clock(folder: Path) -> None:
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(_library_path(folder)), str(_CLOCK_SOURCE), "-ldl"]
    subprocess.run(command, check=True)


def set_clock(folder: Path, seconds: float) -> None:
    """Write the offset of the wall clock into the file that the running gateway has mapped."""
    with _clock_path(folder).open("r+b" if _clock_path(folder).exists() else "wb") as file:
        file.write(round(seconds).to_bytes(8, sys.byteorder, signed=True))


def _pipe_path(folder: Path) -> Path:
    return folder / "log.pipe"


def _clock_path(folder: Path) -> Path:
    return folder / "clock"


def _library_path(folder: Path) -> Path:
    return folder / "clock.so"


def _list_children(pid: int) -> list[int]:
    """List the child processes of all threads of a process, without zombies."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.update(map(int, path.read_text(encoding="utf-8").split()))
        except OSError:
            continue
    return sorted(child for child in found if not re.search(r"^State:\s+Z", _read_status(child), re.MULTILINE))


def _read_status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return "State: Z"


def _read_command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""
