"""The report of the sizing as Markdown."""

from benchmarks.common import results
from benchmarks.sizing.costs import PROCESSES, MeasuredCosts, extrapolate
from benchmarks.sizing.plan import Component, Limit
from benchmarks.sizing.simulations import Simulations
from benchmarks.sizing.workload import Workload, list_assumptions


def format_report(
    workload: Workload,
    costs: MeasuredCosts,
    components: list[Component],
    limits: list[Limit],
    simulations: Simulations,
    where: dict[str, str],
) -> str:
    """Format all tables."""
    parts = [
        "# Sizing",
        f"{results.format_origin(where)} Nothing here was run at this size: measured costs are multiplied by "
        f"assumptions, and caches and keys are simulated. Measured costs: {'; '.join(costs.list_sources())}.",
        "## Assumptions",
        _table(
            "option | value | meaning",
            [f"`{name}` | {_round(value)} | {text}" for name, value, text in list_assumptions(workload)],
        ),
        "## Processor time of a cold call, ms",
        _format_calls(workload, costs),
        "## Cost a month",
        _format_components(workload, components),
        "## What breaks first",
        _table(
            "limit | bearable | needed | times | basis",
            [
                f"{each.what} | {_round(each.bearable)} {each.unit} | {_round(each.needed)} | {_round(each.excess)} "
                f"| {each.basis}"
                for each in limits
            ],
        ),
        "## Response cache, simulated",
        _table(
            "exponent of Zipf's law | calls reach | changes of items a second | hits",
            [
                f"{each.exponent} | {'the process of the shopper' if each.by_shopper else 'any process'} "
                f"| {each.changes:g} | {each.hits:.2%}"
                for each in simulations.responses
            ],
        ),
        f"{simulations.processes:,} gateway processes.",
        "## Text cache of a process, simulated",
        _table(
            "exponent of Zipf's law | queries before | hits",
            [f"{each.exponent} | {each.filled:,} | {each.hits:.1%}" for each in simulations.texts],
        ),
        "## Busiest server of a Redis cluster, simulated",
        _table(
            "exponent of Zipf's law | busiest shopper, requests/s | servers | busiest server, requests/s "
            "| of an even share | of one core | buckets of the fullest",
            [
                f"{each.exponent} | {each.top_shopper_share * workload.requests:,.0f} | {each.masters} "
                f"| {each.busiest_share * workload.requests:,.0f} | {each.busiest_share * each.masters:.2f}× "
                f"| {each.busiest_share * workload.requests * costs.redis_ms / 1_000:.0%} | {each.fullest_buckets}"
                for each in simulations.masters
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _round(value: float) -> str:
    """Format a number with three digits, or all that it has before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(header: str, rows: list[str]) -> str:
    columns = header.count("|") + 1
    return "\n".join([f"| {header} |", "|" + "---|" * columns, *(f"| {row} |" for row in rows)])


def _format_calls(workload: Workload, costs: MeasuredCosts) -> str:
    rows = []
    for kind in ("Recommend", "search"):
        measured = costs.calls(kind)
        rows += [
            f"{kind} | {cost.items:,} | measured | " + " | ".join(f"{cost.by_process[each]:.1f}" for each in PROCESSES)
            for cost in measured
        ]
        if workload.items > measured[-1].items:
            extended = (f"{extrapolate(measured, workload.items, each):.1f}" for each in PROCESSES)
            rows.append(f"{kind} | {workload.items:,} | computed | " + " | ".join(extended))
    return _table("call | items | | " + " | ".join(PROCESSES), rows)


def _format_components(workload: Workload, components: list[Component]) -> str:
    rows = [
        f"{each.name} | {each.cores:,.0f} | {each.gib:,.0f} | {each.cost_month(workload):,.0f} | {each.basis}"
        for each in components
    ]
    cores, gib = sum(each.cores for each in components), sum(each.gib for each in components)
    total = sum(each.cost_month(workload) for each in components)
    return _table("part | cores | GiB | cost | basis", [*rows, f"**all** | {cores:,.0f} | {gib:,.0f} | {total:,.0f} |"])
