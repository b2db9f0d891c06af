"""Commands of child processes."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")


def end_with_parent(command: Sequence[str], umask: int | None = None) -> list[str]:
    """Wrap a command, so that the kernel ends its process by SIGTERM when the thread that starts it is gone.

    A `preexec_fn` could ask the kernel too, but it makes Python fork with the handlers of all libraries. Those of gRPC
    crash, or hang, while its own threads are at work: one fork in eight, where calls never
    stop.

    Args:
        command: program and arguments.
        umask: permissions that files of the process must not have; None for those of this process.
    """
    mask = "" if umask is None else f"{umask:o}"
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), mask, *command]
