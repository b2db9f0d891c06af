"""Policies of batching on one workload, in virtual time: `python -m benchmarks batching-policies REPOSITORY`.

Each policy is simulated at several rates, with lengths of the release's items.
"""

import json
import random

from benchmarks.common.batching_policies import POLICIES
from benchmarks.common.batching_simulation import draw_burst_arrivals, draw_poisson_arrivals, simulate
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.load.calls import read_item_texts
from benchmarks.common.steps import open_repository
from portrait.features.release import layout as release_layout
from portrait.features.text.tokenizer import TextTokenizer

SECONDS = 5.0
RATES = (500, 1000, 2000, 2500)


def main(arguments: list[str]) -> int:
    """Simulate each policy at some rates, and print JSON lines."""
    parser = make_parser("batching-policies", __doc__)
    add_repository(parser)
    repository = open_repository(parser.parse_args(arguments).repository)
    tokenizer = TextTokenizer.load(
        release_layout.release_folder(repository, release_layout.list_releases(repository)[-1])
        / release_layout.TOKENIZER
    )
    lengths = [len(row) for row in tokenizer.encode(read_item_texts(repository))]
    for rate in RATES:
        loads = {
            "one by one": list(draw_poisson_arrivals(random.Random(1), lengths, rate, SECONDS)),
            "32 at a time": list(draw_burst_arrivals(random.Random(1), lengths, rate, SECONDS, 32)),
        }
        for load, workload in loads.items():
            for name, policy in POLICIES.items():
                told = {"rate": rate, "load": load, "policy": name}
                print(json.dumps(told | simulate(workload, policy).summary()))
    return 0
