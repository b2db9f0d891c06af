"""The releases whose explanations are compared, in one repository for each data set."""

from pathlib import Path

from benchmarks.explanations.randomisation import Depth, randomise_run
from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.features.release import layout as release_layout
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

TRAINED, OTHER_SEED = 1, 2
RANDOMISED = {Depth.RANKER: 3, Depth.PROFILE: 4, Depth.ALL: 5}
"""Numbers of the releases."""


def export_releases(trained: TrainedRun, other_seed: Path, repository: Path) -> None:
    """Export the run, the run of another seed and the randomised runs, if their releases are missing.

    Args:
        trained: the run.
        other_seed: the folder of the other run, trained alike.
        repository: where to.
    """
    there = set(release_layout.list_releases(repository))
    if TRAINED not in there:
        export_release(trained, {}, repository, Precision.FP32, print)
    if OTHER_SEED not in there:
        export_release(runs.load_run(other_seed), {}, repository, Precision.FP32, print)
    for depth, number in RANDOMISED.items():
        if number not in there:
            export_release(randomise_run(trained, depth), {}, repository, Precision.FP32, print)
