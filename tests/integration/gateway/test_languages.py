"""The examples in four languages, compiled from the protos, say the same of a real gateway."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.rpc import status_pb2
from support import tiny_release
from support.gateway import RunningGateway

from portrait.client import Client

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "clients" / "examples"
PROTOS = sorted((ROOT / "protos").glob("portrait/v1/*.proto"))
GO_SOURCES = Path("/usr/share/gocode")
"""Debian's folder of Go libraries."""
JARS = [
    Path("/usr/share/java") / f"{name}.jar"
    for name in (
        "geronimo-annotation-1.3-spec", "grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-protobuf",
        "grpc-protobuf-lite", "grpc-stub", "gson", "guava", "netty-buffer", "netty-codec", "netty-codec-http",
        "netty-codec-http2", "netty-codec-socks", "netty-common", "netty-handler", "netty-handler-proxy",
        "netty-resolver", "netty-transport", "perfmark-api", "protobuf",
    )
]  # fmt: skip
GOOGLE_RPC = Path(status_pb2.__file__).parent
"""The protos of error details; Java's users have them compiled, from Maven's `proto-google-common-protos`."""
COMPILE_SECONDS = 300.0

Command = list[str | Path]


def run(command: Command, within: Path, **variables: str) -> str:
    ended = subprocess.run(
        command,
        cwd=within,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
        timeout=COMPILE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def require(*tools: str) -> None:
    """Skip the test where a tool is missing."""
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"no {', '.join(missing)} here: see clients/examples/README.md")


def require_files(*paths: Path) -> None:
    """Skip the test where a library is missing."""
    if missing := [str(path) for path in paths if not path.exists()]:
        pytest.skip(f"no {', '.join(missing)} here: see clients/examples/README.md")


def build_python(folder: Path) -> Command:
    """Nothing to compile: the stubs are in the distribution."""
    return [sys.executable, EXAMPLES / "python" / "shopper.py"]


def build_go(folder: Path) -> Command:
    """A program in a workspace as Debian's packages of Go want it: without modules."""
    require("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc")
    libraries = GO_SOURCES / "src" / "google.golang.org"
    require_files(libraries / "grpc", libraries / "genproto", libraries / "protobuf")
    example = folder / "src" / "example"
    shutil.copytree(EXAMPLES / "go", example)
    run(["protoc", f"-I{ROOT / 'protos'}", "--go_out=src", "--go-grpc_out=src", *PROTOS], folder)
    program = folder / "shopper"
    workspace = {"GO111MODULE": "off", "GOPATH": f"{folder}:{GO_SOURCES}", "GOFLAGS": ""}
    run(["go", "build", "-o", program, "."], example, **workspace)
    return [program]


def build_java(folder: Path) -> Command:
    require("java", "javac", "protoc", "grpc_java_plugin")
    require_files(*JARS)
    protos = folder / "protos"
    shutil.copytree(ROOT / "protos" / "portrait", protos / "portrait")
    (protos / "google" / "rpc").mkdir(parents=True)
    for name in ("status", "error_details"):
        shutil.copy(GOOGLE_RPC / f"{name}.proto", protos / "google" / "rpc")
    sources = folder / "sources"
    sources.mkdir()
    plugin = f"--plugin=protoc-gen-grpc-java={shutil.which('grpc_java_plugin')}"
    run(["protoc", f"-I{protos}", f"--java_out={sources}", *sorted(protos.glob("**/*.proto"))], folder)
    run(["protoc", f"-I{protos}", plugin, f"--grpc-java_out={sources}", *protos.glob("portrait/v1/*.proto")], folder)
    shutil.copy(EXAMPLES / "java" / "Shopper.java", sources)
    path = os.pathsep.join(map(str, JARS))
    run(["javac", "-nowarn", "-cp", path, "-sourcepath", ".", "-d", folder / "classes", "Shopper.java"], sources)
    return ["java", "-cp", f"{path}{os.pathsep}{folder / 'classes'}", "Shopper"]


def build_typescript(folder: Path) -> Command:
    require("node")
    modules = EXAMPLES / "typescript" / "node_modules"
    if not modules.is_dir():
        pytest.skip("no clients/examples/typescript/node_modules here: run `npm ci` in its folder")
    for name in ("shopper.ts", "tsconfig.json", "package.json"):
        shutil.copy(EXAMPLES / "typescript" / name, folder)
    (folder / "node_modules").symlink_to(modules)
    (folder / "generated").mkdir()
    plugin = f"--plugin=protoc-gen-ts_proto={modules / '.bin' / 'protoc-gen-ts_proto'}"
    options = "--ts_proto_opt=outputServices=nice-grpc,outputServices=generic-definitions,useExactTypes=false"
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    run([*protoc, f"-I{ROOT / 'protos'}", plugin, options, "--ts_proto_out=generated", *PROTOS], folder)
    run(["node", modules / "typescript" / "bin" / "tsc"], folder)
    return ["node", "build/shopper.js"]


@pytest.mark.parametrize("build", [build_python, build_go, build_java, build_typescript])
def test_an_example_calls_the_gateway(
    gateway: RunningGateway, shopper: str, tmp_path: Path, build: Callable[[Path], Command]
) -> None:
    program = build(tmp_path)
    told = run([*program, gateway.address, shopper], tmp_path).splitlines()
    assert told[:3] == [
        "accepted 2",
        "release 1, events 2",
        f"embedding of {tiny_release.DIMENSION} numbers, length 1.000",
    ]
    with Client(gateway.address) as client:
        best = client.recommend(shopper, query="desk lamp", k=3).items
    assert told[3:6] == [f"recommended {ranked.item.item_id}" for ranked in best]
    assert told[6:] == [
        "INVALID_ARGUMENT FIELD_INVALID k: sent -1; the limit is 0 to 1000",
        "NOT_FOUND CATALOGUE_UNKNOWN catalogue: there is no such catalogue",
    ]
