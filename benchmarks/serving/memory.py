"""Memory of a gateway's release when every page of it has been read, measured in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.release.release import Release

_BLOCK = 10_000


def measure_resident_memory(repository: Path) -> int:
    """Measure the memory of a process that has loaded and read the newest release with its catalogues, in bytes."""
    command = [sys.executable, "-m", "benchmarks.serving.memory", str(repository)]
    return int(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout)


def _read_all(repository: Path) -> int:
    release = Release.load(repository, release_layout.list_releases(repository)[-1])
    catalogues = Catalogues(release).now()
    every = np.arange(len(release.items))
    for begin in range(0, len(every), _BLOCK):
        catalogues.by_name["products"].take(every[begin : begin + _BLOCK])
    if release.index is not None:
        wish = np.asarray(release.vectors[:1], dtype=np.float32)
        release.index.search(wish, 1, bits.pack_rows(np.ones(len(every), dtype=bool)), 1.0 / len(every))
    _ = [item.title for item in release.items]
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return 1024 * int(found[1])


if __name__ == "__main__":
    print(_read_all(Path(sys.argv[1])))
