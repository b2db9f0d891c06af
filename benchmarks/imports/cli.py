"""Count the imports between the folders of each package, the folders in cycles, and the imports that run upwards.

A folder is a direct subpackage or module of a package. An import runs upwards if it has to go before the folders can be
sorted into layers that import only downwards. Of a cycle of up to eight folders, all orders are tried; a longer one is
ordered by the heuristic of Eades, Lin and Smyth ("A fast and effective heuristic for the feedback arc set problem",
1993), whose number may be too high.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.common.cli import existing_folder, make_parser

PACKAGES = {"clients": "portrait.client"} | {
    folder: f"portrait.{folder}" for folder in ("features", "training", "export", "reporting", "server")
}
"""The packages by top-level folder of the repository."""
Graph = Mapping[str, Collection[str]]
"""The folders that each folder imports."""
_MAX_EXACT_FOLDERS = 8
_LIST_IMPORTS = """
import sys
import grimp
graph = grimp.build_graph(sys.argv[1], cache_dir=None)
for module in graph.modules:
    for imported in graph.find_modules_directly_imported_by(module):
        print(module, imported)
"""


def main(arguments: list[str]) -> int:
    """Print the figures of a checkout; return the exit code."""
    parser = make_parser("imports", __doc__)
    parser.add_argument("root", type=existing_folder, nargs="?", default=Path(), help="checkout to look at (this one)")
    root = parser.parse_args(arguments).root.resolve()
    print("| package | folders | imports between them | folders in cycles | imports upwards |\n|---|---|---|---|---|")
    for folder, package in PACKAGES.items():
        if (root / folder / "portrait").is_dir():
            graph = read_folder_graph(root, package)
            cycles = find_cycles(graph)
            imports, upward = sum(map(len, graph.values())), sum(count_upward_imports(graph, each) for each in cycles)
            print(f"| {package} | {len(graph)} | {imports} | {sum(map(len, cycles))} | {upward} |")
    return 0


def read_folder_graph(root: Path, package: str) -> Graph:
    """Read the imports between the folders of a package of a checkout.

    Args:
        root: folder of the checkout. Its packages are found in a process of their own.
        package: for example `portrait.server`.
    """
    found = subprocess.run(
        [sys.executable, "-c", _LIST_IMPORTS, package],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(root / each) for each in PACKAGES)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    graph: dict[str, set[str]] = {}
    depth = package.count(".") + 1
    for line in found.stdout.splitlines():
        ends = [module.split(".")[depth] for module in line.split() if module.startswith(f"{package}.")]
        for folder in ends:
            graph.setdefault(folder, set())
        if len(ends) == 2 and ends[0] != ends[1]:
            graph[ends[0]].add(ends[1])
    return graph


def find_cycles(graph: Graph) -> list[frozenset[str]]:
    """Find the groups of folders that import each other, directly or through others."""
    reachable = {folder: _reach(graph, folder) for folder in graph}
    groups = {
        frozenset(each for each in reachable[folder] if folder in reachable[each])
        for folder in graph
        if folder in reachable[folder]
    }
    return sorted(groups, key=sorted)


def _reach(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(graph[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def count_upward_imports(graph: Graph, cycle: Collection[str]) -> int:
    """Count the imports that have to go before the folders of a cycle can be layered."""
    within = {folder: set(graph[folder]) & set(cycle) for folder in sorted(cycle)}
    orders: Iterable[Sequence[str]] = [_order_greedily(within)]
    if len(within) <= _MAX_EXACT_FOLDERS:
        orders = itertools.permutations(within)
    return min(_count_against(within, order) for order in orders)


def _count_against(graph: Graph, order: Sequence[str]) -> int:
    place = {folder: number for number, folder in enumerate(order)}
    return sum(place[imported] < place[folder] for folder, imports in graph.items() for imported in imports)


def _order_greedily(graph: Graph) -> list[str]:
    left = {folder: set(imports) for folder, imports in graph.items()}
    first: list[str] = []
    last: list[str] = []
    while left:
        sinks = [folder for folder, imports in left.items() if not imports]
        if sinks:
            last[:0] = sinks
        else:
            imported = [each for imports in left.values() for each in imports]
            sinks = [max(left, key=lambda folder: len(left[folder]) - imported.count(folder))]
            first += sinks
        left = {folder: imports.difference(sinks) for folder, imports in left.items() if folder not in sinks}
    return first + last
