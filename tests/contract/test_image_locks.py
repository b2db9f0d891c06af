"""The locks of the images hold what pyproject.toml and constraints.txt ask for, with hashes, and what is imported."""

import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from support.requirements import find_requirements, normalise

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "deploy" / "containers"
LOCKS = CONTAINERS / "locks"
EXTRAS = {
    "gateway": ("server", "redis", "releases", "tracing"),
    "all-in-one": ("server", "triton", "redis", "releases", "tracing"),
    "trainer": ("train", "triton"),
}
RUNS = {
    "gateway": ("portrait.server.commands", "portrait.client.commands"),
    "all-in-one": ("portrait.server.commands", "portrait.client.commands"),
    "trainer": ("portrait.training.commands", "portrait.export.commands", "portrait.reporting.commands"),
}
OF_CUDA = re.compile(r"(nvidia|cuda)-.*|triton")
"""Requirements of torch of PyPI on Linux, which torch for processors alone does not have."""
ON_DEMAND = {"milvus_lite", "mlflow", "py4j", "pymilvus", "pyspark", "wandb"}
"""Imported if a setting or an option names them; no image has them."""


def read_lock(name: str) -> dict[str, str]:
    """Versions by the name of the distribution; each has hashes."""
    versions = {}
    for entry in re.split(r"\n(?=\S)", (LOCKS / f"{name}.txt").read_text(encoding="utf-8").strip()):
        match = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        assert match is not None, entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
        versions[match[1]] = match[2]
    return versions


def read_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {normalise(name): version for name, version in pairs}


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_is_up_to_date(name: str) -> None:
    """`deploy/containers/lock.sh` writes it anew."""
    lock, required = read_lock(name), find_requirements(EXTRAS[name])
    needed = {normalise(each.name) for each in required}
    assert needed - lock.keys() == set()
    assert [each for each in lock.keys() - needed if not OF_CUDA.fullmatch(each)] == []
    for each in required:
        assert each.specifier.contains(lock[normalise(each.name)], prereleases=True), each


@pytest.mark.parametrize("name", [*EXTRAS, "build"])
def test_a_lock_has_the_versions_that_tests_run_with(name: str) -> None:
    lock, constraints = read_lock(name), read_constraints()
    assert len(lock.keys() & constraints.keys()) > 4
    assert {each: lock[each] for each in lock if lock[each] != constraints.get(each, lock[each])} == {}


@pytest.mark.parametrize("name", EXTRAS)
def test_an_image_installs_its_lock_and_nothing_else(name: str) -> None:
    text = (CONTAINERS / f"{name}.Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [command for command in re.split(r"&&|\n", text) if re.search(r"pip\b.* install ", command)]
    assert f"locks/{name}.txt" in installs[1]
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    packages = [
        f"portrait.{name}" for name in ("client", "v1", "features", "training", "export", "reporting", "server")
    ]
    return grimp.build_graph(*packages, include_external_packages=True, exclude_type_checking_imports=True)


@pytest.mark.parametrize("name", RUNS)
def test_an_image_has_what_its_commands_import(name: str, imports: grimp.ImportGraph) -> None:
    lock, distributions = read_lock(name), packages_distributions()
    reached = {module.partition(".")[0] for entry in RUNS[name] for module in imports.find_upstream_modules(entry)}
    outside = reached - {"portrait"} - ON_DEMAND - sys.stdlib_module_names
    assert len(outside) > 10
    missing = [
        module for module in outside if not {normalise(each) for each in distributions.get(module, ())} & lock.keys()
    ]
    assert missing == []
