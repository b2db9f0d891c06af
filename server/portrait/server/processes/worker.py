"""One of several gateway processes, started by the group: `python -m portrait.server.processes.worker`.

Arguments: SETTINGS [--supervised]. Prints one line of JSON to stdout once it serves: where its metrics are.
"""

import json
import sys

from portrait.server.app import run_shared
from portrait.server.settings import Settings

if __name__ == "__main__":
    sys.exit(run_shared(Settings.model_validate(json.loads(sys.argv[1])), supervised="--supervised" in sys.argv))
