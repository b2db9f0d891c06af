"""The built wheel: what is in it, and what each part of it needs."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from portrait.client import cli
from portrait.features.installation import DISTRIBUTION, explain_install

ROOT = Path(__file__).parents[2]
PARTS = ("client", "v1", "features", "training", "export", "reporting", "server")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    [built] = folder.glob("shopper_portrait-*.whl")
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
    _, version, *_ = wheel.name.split("-")
    assert {name.split("/")[0] for name in names} == {"portrait", f"shopper_portrait-{version}.dist-info"}
    for part in PARTS:
        assert any(name.startswith(f"portrait/{part}/") for name in names), part
    assert "portrait/__init__.py" not in names
    for proto in (ROOT / "protos" / "portrait" / "v1").glob("*.proto"):
        assert f"portrait/protos/portrait/v1/{proto.name}" in names
        assert f"portrait/v1/{proto.stem}_pb2.py" in names
    for model in ("text_encoder", "profile_encoder", "ranker", "trait_heads"):
        assert f"portrait/model_repository/{model}/config.pbtxt" in names
    assert "portrait/server/triton/backends/onnxruntime/model.py" in names
    assert "portrait/reporting/page.html.jinja" in names
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


def _needed(name: str, extra: str = "") -> set[str]:
    """A distribution and all that it needs, with one of its extras or none."""
    wanted = [Requirement(text) for text in metadata.distribution(name).requires or ()]
    chosen = [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": extra})]
    return {name}.union(*map(_needed, chosen))


def _link(distributions: set[str], folder: Path) -> None:
    """Have a folder hold the files of distributions that this environment has, as if they were installed there."""
    for file in (file for name in distributions for file in metadata.files(name) or ()):
        if ".." not in file.parts:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).symlink_to(file.locate())


def test_a_caller_needs_nothing_that_the_wheel_does_not_require(installed: Path, tmp_path: Path) -> None:
    """Run in an environment that sees only what the wheel without extras brings."""
    needed = _needed(DISTRIBUTION) - {DISTRIBUTION}
    assert needed == {"googleapis-common-protos", "grpcio", "protobuf", "typing-extensions"}
    _link(needed, tmp_path)
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


@contextmanager
def _index(wheel: Path, folder: Path) -> Iterator[str]:
    """A package index that has our wheel and nothing else; yields its address."""
    (folder / DISTRIBUTION).mkdir(parents=True)
    shutil.copy(wheel, folder / DISTRIBUTION)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_both_ways_to_install_run_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """The environment has what pip would fetch, and pip itself looks for it; nothing leaves this machine."""
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    [site] = (tmp_path / "env" / "lib").glob("python*/site-packages")
    _link((_needed(DISTRIBUTION, "cli") | _needed("hatchling")) - {DISTRIBUTION}, site)
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    clean = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "*"}

    def run(*arguments: str) -> str:
        ended = subprocess.run(arguments, cwd=ROOT, env=clean, capture_output=True, encoding="utf-8", check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def use_and_uninstall() -> None:
        assert run(str(python.parent / "portrait"), "--version") == f"portrait {metadata.version(DISTRIBUTION)}\n"
        where = run(str(python), "-c", "import portrait.client; print(portrait.client.__file__)")
        assert where.startswith(str(tmp_path)), where
        run(*pip, "uninstall", "--yes", DISTRIBUTION)

    run(*pip, "install", "--no-build-isolation", "--no-index", ".[cli]")
    use_and_uninstall()
    with _index(wheel, tmp_path / "index") as address:
        run(*pip, "install", "--index-url", address, f"{DISTRIBUTION}[cli]")
    use_and_uninstall()


_OTHERS = re.compile(
    r"""(?<![\w-])portrait\["""  # with extras
    r"""|pip3?\s+install\b[^\n`]*[\s'"]portrait(?=[\s'"`,;:=<>~]|$)"""
    r"""|\b(?:version|distribution|requires|files)\(["']portrait["']\)"""
)
"""The distribution `portrait` of PyPI, which is not ours."""
_OURS = re.compile(r"pip3?\s+install(?P<options>[^\n`]*)shopper-portrait")


def _lines() -> Iterator[tuple[str, str]]:
    """Every line of every text of this repository but of this file, and where it stands."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        with contextlib.suppress(UnicodeDecodeError):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield f"{name}:{number}", line


def test_nobody_is_told_to_install_what_is_not_ours() -> None:
    lines = list(_lines())
    assert [place for place, line in lines if _OTHERS.search(line)] == []
    told = [(place, each["options"]) for place, line in lines for each in _OURS.finditer(line)]
    assert told
    assert [place for place, options in told if "--index-url" not in options] == [], "no public index has it"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install portrait", True),
        ("`pip install 'portrait[server]'`", True),
        ("needs duckdb: pip install 'portrait[train]'", True),
        ("pip install -U portrait==0.1", True),
        ("version('portrait')", True),
        ("pip install --index-url YOUR_INDEX 'shopper-portrait[server]'", False),
        ("pip install '.[server]' in a checkout of Portrait", False),
        ("import portrait.client", False),
    ],
)
def test_the_search_finds_what_it_looks_for(line: str, found: bool) -> None:
    assert bool(_OTHERS.search(line)) is found


def test_what_is_missing_is_told_in_the_same_words_everywhere() -> None:
    backend = ROOT / "server/portrait/server/triton/backends/onnxruntime/model.py"
    assert cli._explain_install("gpu") == explain_install("gpu")
    assert explain_install("gpu") in backend.read_text(encoding="utf-8")
