"""The figures of the import graph, on graphs drawn by hand."""

from benchmarks.imports.cli import count_upward_imports, find_cycles


def test_layers_have_no_cycle() -> None:
    assert find_cycles({"app": {"core", "base"}, "core": {"base"}, "base": set()}) == []


def test_one_import_upwards_makes_a_cycle() -> None:
    graph = {"app": {"core"}, "core": {"base", "store"}, "base": {"core"}, "store": {"base"}}
    [cycle] = find_cycles(graph)
    assert cycle == {"core", "base", "store"}
    assert count_upward_imports(graph, cycle) == 1


def test_a_long_ring_is_cut_once() -> None:
    ring = {f"folder{number}": {f"folder{(number + 1) % 12}"} for number in range(12)}
    [cycle] = find_cycles(ring)
    assert (len(cycle), count_upward_imports(ring, cycle)) == (12, 1)
