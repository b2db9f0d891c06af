"""Runs a program that ends with its parent: `python -I -S launcher.py PARENT UMASK PROGRAM [ARGUMENT…]`.

A process runs this file and becomes the program; see `child_processes.end_with_parent`.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _launch(parent: int, umask: str, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)  # gone before the kernel was asked
    if umask:
        os.umask(int(umask, 8))
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _launch(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
