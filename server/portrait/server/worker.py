"""One of several gateway processes, started by the group: `python -m portrait.server.worker`.

Arguments: SETTINGS [--supervised]. Prints lines of JSON to stdout: where its metrics are, once it serves, and with
`--supervised` each model whose processes do not work.
"""

import json
import sys

from portrait.server.app import run_worker
from portrait.server.runtime.exits import exit_at_once
from portrait.server.settings import Settings

if __name__ == "__main__":
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    exit_at_once(run_worker(settings, supervised="--supervised" in sys.argv))
