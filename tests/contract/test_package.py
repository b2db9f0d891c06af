"""The built wheel: what is in it, and what each part of it needs."""

import shlex
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PARTS = ("client", "v1", "features", "training", "export", "server")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    [built] = folder.glob("portrait-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder, as pip would lay them out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder)
    return folder


def test_the_wheel_holds_all_parts_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"portrait", f"portrait-{wheel.name.split('-')[1]}.dist-info"}
    for part in PARTS:
        assert any(name.startswith(f"portrait/{part}/") for name in names), part
    assert "portrait/__init__.py" not in names
    for proto in (ROOT / "protos" / "portrait" / "v1").glob("*.proto"):
        assert f"portrait/protos/portrait/v1/{proto.name}" in names
        assert f"portrait/v1/{proto.stem}_pb2.py" in names
    for model in ("text_encoder", "profile_encoder", "ranker", "trait_heads"):
        assert f"portrait/model_repository/{model}/config.pbtxt" in names
    assert "portrait/server/triton/backends/onnxruntime/model.py" in names
    assert "portrait/export/report/page.html.jinja" in names
    assert {"portrait/client/py.typed", "portrait/v1/py.typed"} <= set(names)
    assert not [name for name in names if name.endswith((".onnx", ".npy"))]


def _import_without(installed: Path, modules: list[str], missing: list[str]) -> None:
    """Import modules of the wheel in a new interpreter in which others can't be imported."""
    program = (
        "import sys\n"
        f"sys.path = [{str(installed)!r}] + sys.path\n"
        "import portrait\n"
        f"portrait.__path__ = [{str(installed / 'portrait')!r}]\n"
        f"sys.modules.update(dict.fromkeys({missing!r}))\n"
        "import importlib\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr


def _needed(name: str) -> set[str]:
    """A distribution and all that it needs where no extra is asked for."""
    wanted = [Requirement(text) for text in metadata.distribution(name).requires or ()]
    chosen = [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    return {name}.union(*map(_needed, chosen))


def test_a_caller_needs_nothing_that_the_wheel_does_not_require(installed: Path, tmp_path: Path) -> None:
    """Of this environment, only what `pip install portrait` brings can be seen."""
    needed = _needed("portrait") - {"portrait"}
    assert needed == {"googleapis-common-protos", "grpcio", "protobuf", "typing-extensions"}
    for file in (file for name in needed for file in metadata.files(name) or ()):
        if ".." not in file.parts:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).symlink_to(file.locate())
    program = "import portrait.client, portrait.v1.profile_service_pb2_grpc; portrait.client.Client('x').close()"
    alone = (f"import sys; sys.path += [{str(installed)!r}, {str(tmp_path)!r}]; {program}",)
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", *alone], capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_the_gpu_extra_brings_cuda_and_leaves_out_a_broken_runtime() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [runtime] = [each for each in map(Requirement, extras["gpu"]) if each.name == "onnxruntime-gpu"]
    assert runtime.extras == {"cuda", "cudnn"}
    assert [runtime.specifier.contains(version) for version in ("1.26.0", "1.27.0", "1.31.1")] == [True, False, True]


def test_the_wheel_brings_the_load_test(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("ann\n", encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import portrait; "
        f"portrait.__path__ = [{str(installed / 'portrait')!r}]; sys.modules['polars'] = None; import typer; "
        "from portrait.client.loadtest.commands import loadtest; typer.run(loadtest)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "--shopper-ids", "ids.txt", "--dry-run"],
        capture_output=True,
        cwd=tmp_path,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "workload.json").is_file()
    shipped = installed / "portrait"
    words = shlex.split(ended.stdout)
    assert f"PROTOS={shipped / 'protos'}" in words
    assert words[-1] == str(shipped / "loadtest" / "shoppers.js")
    assert {each.name for each in (shipped / "loadtest").iterdir()} == {"shoppers.js", "health.proto"}


def test_the_gateway_needs_no_trainer(installed: Path) -> None:
    trainer = ["torch", "transformers", "peft", "polars", "duckdb", "onnx", "tensorboard"]
    _import_without(installed, ["portrait.server.app", "portrait.server.commands", "portrait.server.triton"], trainer)
