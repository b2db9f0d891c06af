"""Compute the machines of a large shop from measured costs: `python -m benchmarks sizing`.

The costs come from the result files of other benchmarks. Each assumption is an option. The gateway's own caches and the
slots of Redis are simulated under requests that follow Zipf's law.
"""

from dataclasses import asdict

from benchmarks.common import results
from benchmarks.common.cli import make_parser
from benchmarks.sizing.costs import MeasuredCosts
from benchmarks.sizing.plan import count_processes, list_components, list_limits
from benchmarks.sizing.report import format_report
from benchmarks.sizing.simulations import simulate
from benchmarks.sizing.workload import add_options, read_options


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("sizing", __doc__)
    add_options(parser)
    workload = read_options(parser.parse_args(arguments))
    where = results.describe_circumstances(" ".join(["python -m benchmarks sizing", *arguments]))
    costs = MeasuredCosts()
    simulations = simulate(workload, count_processes(workload, costs))
    # Clients spread their calls over gateways, and catalogues change: the worst of the simulated hit rates.
    hit_rate = min(each.hits for each in simulations.responses)
    components, limits = list_components(workload, costs, hit_rate), list_limits(workload, costs)
    report = format_report(workload, costs, components, limits, simulations, where)
    written = {
        "circumstances": where,
        "assumptions": asdict(workload),
        "components": [asdict(each) | {"cost_month": each.cost_month(workload)} for each in components],
        "limits": [asdict(each) | {"excess": each.excess} for each in limits],
        "simulations": asdict(simulations),
    }
    results.write_results("sizing", written, report)
    print(report)
    return 0
