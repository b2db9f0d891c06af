"""The end of a process that has served."""

import os
import sys
from typing import NoReturn


def exit_at_once(code: int) -> NoReturn:
    """End this process, with its output written but without Python's own clean-up.

    All is closed by now. Threads of gRPC live on for a moment, and the clean-up takes from them what they still use:
    one process in about fourteen died of it by SIGSEGV after a complete drain, so that its supervisor saw a failure.

    Args:
        code: the exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
