"""The distributions that Portrait needs with some of its extras, by the metadata of those that are installed here."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGE = {
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""The values of markers in the images."""


def find_requirements(extras: Iterable[str]) -> list[Requirement]:
    """Find all requirements of Portrait with its extras, and those of the distributions that they name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    waiting += [Requirement(f"{project['name']}[{extra}]") for extra in extras]
    found, done = [], set()
    while waiting:
        each = waiting.pop()
        if str(each) in done:
            continue
        done.add(str(each))
        if each.name == project["name"]:
            own = (project["optional-dependencies"][extra] for extra in each.extras)
            waiting += [Requirement(text) for texts in own for text in texts]
        else:
            found.append(each)
            waiting += _list_requirements(each)
    return found


def _list_requirements(requirement: Requirement) -> Iterator[Requirement]:
    """List what a distribution requires in an image; nothing if it is not installed here."""
    try:
        texts = metadata.distribution(requirement.name).requires or ()
    except metadata.PackageNotFoundError:
        return
    for each in map(Requirement, texts):
        if each.marker is None or any(
            each.marker.evaluate(IMAGE | {"extra": extra}) for extra in ("", *requirement.extras)
        ):
            yield each


def normalise(name: str) -> str:
    """Bring the name of a distribution into the form in which names are compared."""
    return str(canonicalize_name(name))
