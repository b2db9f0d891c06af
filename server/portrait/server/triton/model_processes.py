"""Model processes: the stubs of the Python backend that run a server's models, and which of them have died.

Triton does not look after them: one that is killed stays a zombie, and its share of the calls fails for as long as the
server runs (triton-inference-server/server #7230, #8604). A stub that Triton itself ends, it reaps within milliseconds.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A process that runs an instance of a model."""

    pid: int
    model: str
    release: str

    def is_zombie(self) -> bool:
        """Tell whether it has ended and its server has not taken notice."""
        return _state(self.pid) == "Z"


def find_model_processes(server: int) -> list[ModelProcess]:
    """List the model processes of a server, by its process id; none of a server that has ended."""
    found = []
    for children in Path(f"/proc/{server}/task").glob("*/children"):
        for pid in _read(children).split():
            # PROGRAM REPOSITORY/MODEL/VERSION/FILE … ; a zombie has no command line.
            _, _, rest = _read(Path(f"/proc/{pid}/cmdline")).partition("\0")
            parts = rest.partition("\0")[0].split("/")
            model, release = parts[-3:-1] if len(parts) >= 3 else ("unknown", "unknown")
            found.append(ModelProcess(int(pid), model, release))
    return found


def _state(pid: int) -> str:
    """The letter of a process's state; empty if there is none."""
    # PID (NAME) STATE …, where the name may hold anything.
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].strip()[:1]


def _read(path: Path) -> str:
    """Read a file of /proc; empty if its process is gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
