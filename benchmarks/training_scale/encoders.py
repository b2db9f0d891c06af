"""A process that trains encoders for some steps: `python -m benchmarks.training_scale.encoders DATA RUN SETTINGS`.

`torchrun` starts several of them. Each writes its process id to a file beside `RUN`.
"""

import json
import os
import sys
from pathlib import Path

from portrait.training import distributed
from portrait.training.devices import CPU
from portrait.training.run.run import run_trial
from portrait.training.settings import TrainSettings


def main(data: Path, run: Path, settings: Path) -> None:
    """Read a data set and train its encoders, as `portrait train` does, without what follows."""
    chosen = TrainSettings.read_overrides(settings)
    with distributed.join_processes(CPU):
        (run.parent / f"process-{distributed.get_rank()}.json").write_text(json.dumps(os.getpid()), encoding="ascii")
        run_trial(data, run, TrainSettings(**chosen), lambda *_: None)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
