"""Repository checks: committed stubs, import rules, one namespace over several roots."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("clients", "features", "training", "export", "reporting", "server")
BIN = Path(sys.executable).parent
PROTOC = [
    sys.executable,
    "-m",
    "grpc_tools.protoc",
    "--proto_path=protos",
    f"--plugin=protoc-gen-mypy_grpc={BIN}/protoc-gen-mypy_grpc",
]


def run(*command: str, within: Path = REPOSITORY) -> None:
    done = subprocess.run(command, cwd=within, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def protos(pattern: str) -> list[str]:
    return [str(path.relative_to(REPOSITORY)) for path in sorted(REPOSITORY.glob(f"protos/portrait/v1/{pattern}"))]


def test_the_committed_stubs_are_what_the_protos_generate(tmp_path: Path) -> None:
    run(*PROTOC, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *protos("*.proto"))
    run(*PROTOC, f"--grpc_python_out={tmp_path}", f"--mypy_grpc_out={tmp_path}", *protos("*_service.proto"))

    def stubs(root: Path) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in (root / "portrait/v1").glob("*_pb2*.py*")}

    assert stubs(REPOSITORY / "clients") == stubs(tmp_path)


def test_the_contract_is_lint_clean() -> None:
    run(str(BIN / "buf"), "lint", within=REPOSITORY / "protos")


def test_the_import_rules_hold() -> None:
    run(str(BIN / "lint-imports"))


def test_the_import_rules_catch_what_they_claim(tmp_path: Path) -> None:
    """Imports that are planted are found: of the server, say, export may have the embedded Triton and nothing else."""
    planted = {
        "export/portrait/export/nearest.py": [
            "server.profiles.customer_value",
            "server.search.exact",
            "server.metrics",
        ],
        "export/portrait/export/added_later.py": ["server.engine"],
        "reporting/portrait/reporting/examples.py": [
            "server.catalogue.release_items",
            "server.timestamps",
            "export.release",
        ],
        "server/portrait/server/triton/process.py": ["server.engine", "server.added_later"],
        "server/portrait/server/timestamps.py": ["export.index"],
    }
    for root in ROOTS:
        shutil.copytree(REPOSITORY / root / "portrait", tmp_path / root / "portrait")
    (tmp_path / "server/portrait/server/added_later.py").touch()
    for path, modules in planted.items():
        with (tmp_path / path).open("a", encoding="utf-8") as source:
            source.writelines(f"import portrait.{module}\n" for module in modules)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        # Else long names are broken into lines.
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(str(tmp_path / root) for root in ROOTS)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    found = re.findall(r"(portrait\S+) -> (portrait\S+) \(l", done.stdout)
    for path, modules in planted.items():
        importer = ".".join(Path(path).with_suffix("").parts[1:])
        for module in modules:
            assert (importer, f"portrait.{module}") in found, done.stdout
    assert done.returncode == 1


def test_no_root_hides_the_others() -> None:
    """A `portrait/__init__.py` in one root would make it the whole of `portrait`."""
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    roots = build["targets"]["wheel"]["packages"]
    assert roots
    assert not [root for root in roots if (REPOSITORY / root / "__init__.py").exists()]
