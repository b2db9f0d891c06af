"""A gateway in a process of its own, as `portrait serve` starts it, with its metrics, memory and processes."""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portrait.server.runtime.direct_http import open_url

NO_RESPONSE_CACHE = ("--response-cache-mib", "0")
"""Options without a response cache: where no two calls are the same, a cache would look like a leak of memory."""
_READY_SECONDS = 120.0


@dataclass
class Gateway:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    address: str
    metrics_url: str

    @property
    def rss(self) -> int:
        """Resident memory of the gateway's processes, in bytes; Triton's is not in it."""
        own = [self.process.pid, *(child for child in self._children() if not _is_triton(child))]
        statuses = [Path(f"/proc/{pid}/status").read_text(encoding="utf-8") for pid in own]
        return sum(1024 * int(found[1]) for each in statuses if (found := re.search(r"VmRSS:\s+(\d+) kB", each)))

    @property
    def triton_pid(self) -> int:
        """Process id of the Triton that the gateway started."""
        [triton] = filter(_is_triton, self._children())
        return triton

    def _children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]

    def metrics(self) -> dict[str, float]:
        """All metrics, by name with labels."""
        text = open_url(self.metrics_url, 5.0).read().decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


def _is_triton(pid: int) -> bool:
    return "tritonserver" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")


def read_peak_memory(pid: int) -> int:
    """Read the peak resident memory of a process in bytes, with mapped files."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return 1024 * int(found[1])


@contextmanager
def run_gateway(repository: Path, *arguments: str) -> Iterator[Gateway]:
    """Run a gateway with Triton on free ports until the end of the block.

    Its log goes to a file: a process that reads each line would take the processor from what is measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "gateway.log"
        files = [
            *("--state", f"{folder}/portrait.db"),
            *("--audiences", f"{folder}/audiences"),
            *("--triton-log", f"{folder}/triton.log"),
        ]
        program = str(Path(sys.executable).parent / "portrait")
        command = [program, "serve", "--repository", str(repository), *files, "--port", "0", "--metrics-port", "0"]
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen([*command, *arguments], stderr=stream, stdout=subprocess.DEVNULL)
        try:
            ready = wait_until_ready(process, log)
            yield Gateway(process, str(ready["address"]), str(ready["metrics"]))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, object]:
    """Wait for the log line with the address of the gateway; return that line.

    Raises:
        RuntimeError: the process ended, or it takes too long.
    """
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
        # What callers sent, which gRPC's own log repeats, need not be text.
        for text in log.read_text(errors="replace", encoding="utf-8").splitlines():
            line = json.loads(text) if text.startswith("{") and text.endswith("}") else {}
            if line.get("event") == "ready":
                return dict(line)
    sys.stderr.write(log.read_text(errors="replace", encoding="utf-8"))
    raise RuntimeError("the gateway was not ready")


def run_release_command(metrics_url: str, repository: Path, *words: str) -> None:
    """Run `portrait release …` as an operator does; it returns when the gateway has switched.

    Raises:
        CalledProcessError: it has not.
    """
    program = str(Path(sys.executable).parent / "portrait")
    options = ("--repository", str(repository), "--gateway", metrics_url)
    subprocess.run([program, "release", *words, *options], check=True, stdout=subprocess.DEVNULL)
