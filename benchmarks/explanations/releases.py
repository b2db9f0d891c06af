"""The releases that explanations are compared between: one repository for each data set."""

from pathlib import Path

from benchmarks.explanations.randomisation import Depth, randomise_run
from portrait.export.precision import Precision
from portrait.export.release import make
from portrait.features.release import layout as release_layout
from portrait.training.run import run as runs
from portrait.training.run.run import TrainedRun

TRAINED, OTHER_SEED = 1, 2
RANDOMISED = {Depth.RANKER: 3, Depth.PROFILE: 4, Depth.ALL: 5}
"""Their numbers."""


def export_releases(trained: TrainedRun, other_seed: Path, repository: Path) -> None:
    """Export the run, one of another seed, and the run with shuffled weights, as far as they are not there.

    Args:
        trained: the run.
        other_seed: the folder of the other run, trained alike.
        repository: where to.
    """
    there = set(release_layout.list_releases(repository))
    if TRAINED not in there:
        make(trained, {}, repository, Precision.FP32, print)
    if OTHER_SEED not in there:
        make(runs.load_run(other_seed), {}, repository, Precision.FP32, print)
    for depth, number in RANDOMISED.items():
        if number not in there:
            make(randomise_run(trained, depth), {}, repository, Precision.FP32, print)
