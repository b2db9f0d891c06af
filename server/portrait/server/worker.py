"""One of several gateway processes, started by the group: `python -m portrait.server.worker`.

Reads its `WorkerSettings` from stdin: `ps` shows arguments to every user, and a URL of a Redis has a password. Prints
lines of JSON to stdout: where its metrics are, once it serves, and each model of a supervised Triton whose processes do
not work.
"""

import sys

from portrait.server.app import run_worker
from portrait.server.processes.worker_settings import WorkerSettings
from portrait.server.runtime.exits import exit_at_once

if __name__ == "__main__":
    exit_at_once(run_worker(WorkerSettings.load(sys.stdin.buffer.read())))
