"""Imports of benchmarks: a folder for each question, which share `common` only; tests use the shared parts alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
LISTING = {"benchmarks.__main__", "benchmarks.table"}
"""Modules that list all benchmarks."""


def folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_a_benchmark_imports_no_other_benchmark() -> None:
    graph = grimp.build_graph("benchmarks")
    allowed = {"benchmarks", "benchmarks.common"}
    found = [
        f"{module} imports {imported}"
        for module in sorted(graph.modules - LISTING)
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if folder(imported) not in allowed | {folder(module)}
    ]
    assert found == []


def test_tests_use_only_shared_and_public_modules_of_benchmarks() -> None:
    """Only tests of the benchmarks themselves, in folders of that name, use more than `common` and the table."""
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for module in imported_modules(path)
        if any(part.startswith("_") and part != "__main__" for part in module.split("."))
        or (folder(module) not in {"benchmarks.common", "benchmarks.table"} and path.parent.name != "benchmarks")
    ]
    assert found == []


def imported_modules(path: Path) -> Iterator[str]:
    """Names of benchmarks that a file imports, with what it imports from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "benchmarks":
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "benchmarks")
