"""Checks of the machine: what a gateway needs of it, whatever it serves."""

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from portrait.server.doctor.findings import Finding, Level
from portrait.server.settings import Settings
from portrait.server.triton import TritonError
from portrait.server.triton.installation import find

_MIN_FILES = 4_096
_MIN_FREE_BYTES = 1 << 30
_PYTHONS = ((3, 11), (3, 13))


def check_machine(settings: Settings, shops: Mapping[str | None, Settings]) -> Iterator[Finding]:
    """Check the interpreter, the limits of the system and the disk.

    Args:
        settings: the settings of the gateway.
        shops: those of each shop, by tenant.
    """
    yield _check_python()
    if not all(shop.triton_urls for shop in shops.values()):
        yield _check_triton()
    yield _check_files()
    yield _check_cores(settings)
    for tenant, shop in shops.items():
        if shop.state_url is None:
            yield _check_disk(shop.state).of_tenant(tenant)


def _check_python() -> Finding:
    version = platform.python_version()
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return Finding(Level.FAULT, "python", f"{version} is not supported: use 3.11, 3.12 or 3.13")
    return Finding(Level.OK, "python", version)


def _check_triton() -> Finding:
    try:
        found = find()
    except TritonError as error:
        return Finding(Level.FAULT, "embedded triton", str(error))
    return Finding(Level.OK, "embedded triton", f"installed at {found.server.parents[1]}")


def _check_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _MIN_FILES:
        return Finding(
            Level.WARNING, "open files", f"at most {soft}, one for each connection: raise it with `ulimit -n 65536`"
        )
    return Finding(Level.OK, "open files", f"at most {soft}")


def _check_cores(settings: Settings) -> Finding:
    cores = len(os.sched_getaffinity(0))
    if settings.processes > cores:
        return Finding(
            Level.WARNING, "cores", f"{settings.processes} processes share {cores}: set processes to {cores} or less"
        )
    return Finding(Level.OK, "cores", f"{cores} for {settings.processes} gateway process(es) and the models")


def _check_disk(state: Path) -> Finding:
    folder = next(each for each in (state.absolute().parent, *state.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    size = state.stat().st_size if state.is_file() else 0
    if free < max(_MIN_FREE_BYTES, size):
        return Finding(
            Level.WARNING,
            "disk",
            f"{free >> 20} MiB free beside a state of {size >> 20} MiB: make room before it is full",
        )
    return Finding(Level.OK, "disk", f"{free >> 30} GiB free for the state")
