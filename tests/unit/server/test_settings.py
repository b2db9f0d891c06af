import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from portrait.server import app
from portrait.server.commands import serve
from portrait.server.runtime.environment import ignored_variables
from portrait.server.settings import Settings

PLAIN = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
"""Environment that keeps messages free of styles and of breaks within words."""

cli = typer.Typer()
cli.command()(serve)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `portrait serve` would have run with."""
    runs: list[Settings] = []

    def run_gateway(settings: Settings, *, check: bool) -> int:
        runs.append(settings)
        raise SystemExit(0)  # as the process would end

    monkeypatch.setattr(app, "run_gateway", run_gateway)
    return runs


def test_help_explains_every_setting() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    words = re.sub(r"[\s│]+", " ", shown)
    for name, setting in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in words
        assert setting.description
        assert setting.description in words
        assert setting.default is None or f"[default: ({setting.default})]" in words


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    chosen: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "portrait.toml"
    file.write_text('port = 1\nmetrics_port = 1\ndrain_seconds = 1.5\nlog_level = "debug"\n', encoding="utf-8")
    monkeypatch.setenv("PORTRAIT_PORT", "2")
    monkeypatch.setenv("PORTRAIT_METRICS_PORT", "2")
    monkeypatch.setenv("PORTRAIT_SETTINGS_FILE", str(file))
    assert CliRunner().invoke(cli, ["--port", "3"]).exit_code == 0
    [settings] = chosen
    assert (settings.port, settings.metrics_port, settings.drain_seconds) == (3, 2, 1.5)
    assert settings.log_level == "debug"
    assert settings.repository == Path("model_repository")


@pytest.mark.parametrize(
    ("arguments", "file", "said"),
    [
        (["--port", "70000"], "", "--port '70000': Input should be less than or equal to 65535"),
        (["--port", "seven"], "", "--port 'seven': Input should be a valid integer"),
        (["--log-level", "loud"], "", "--log-level 'loud': Input should be 'debug', 'info'"),
        (["--tls-key", "key.pem"], "", "tls_certificate and tls_key go together: set both or neither (--tls-key …)"),
        (
            ["--tls-client-ca", "ca.pem"],
            "",
            "tls_client_ca needs tls_certificate and tls_key (--tls-client-ca 'ca.pem')",
        ),
        (["--verify-key", "keys.pem"], "", "verify_key needs releases_url (--verify-key 'keys.pem')"),
        (["--releases-url", "http://x"], "", "--releases-url 'http://x': String should match pattern"),
        (["--default-deadline-seconds", "90"], "", "(--default-deadline-seconds '90')"),
        ([], "prot = 1", "portrait.toml: no setting has the name prot; did you mean port?"),
        ([], "drain-seconds = 1", "portrait.toml: no setting has the name drain-seconds; did you mean drain_seconds?"),
        ([], "[serve]\nport = 1", "portrait.toml: no setting has the name serve"),
        ([], "port = 70000", "portrait.toml: port = 70000: Input should be less than or equal to 65535"),
        (
            ["--retain", "view=0d"],
            "",
            "--retain 'view=0d': the period of view, '0d', is none of 1d to 36500d (days) or",
        ),
        (["--retain", "views=9d"], "", "--retain 'views=9d': 'views' is no type of an event: search, view, click,"),
        ([], "retain = 'view=9m'", "portrait.toml: retain = 'view=9m': the period of view, '9m', is none of 1d to"),
        ([], "log_level = 'loud'", "portrait.toml: log_level = 'loud': Input should be 'debug', 'info'"),
        ([], "triton_url = 7", "portrait.toml: triton_url = 7: Input should be a valid string"),
        ([], "repository = 7", "portrait.toml: repository = 7: Input is not a valid path"),
        ([], "port = 1\nhost = x\n", "portrait.toml: Invalid value (at line 2, column 8)"),
        ([], "host = '\udcff'", "portrait.toml: is not UTF-8"),
        (["--settings-file", "none.toml"], "", "--settings-file 'none.toml': No such file or directory"),
    ],
)
def test_a_setting_that_can_not_be_is_named(
    arguments: list[str], file: str, said: str, chosen: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("portrait.toml").write_text(file, encoding="utf-8", errors="surrogateescape")
    environment = {"PORTRAIT_SETTINGS_FILE": "portrait.toml", **PLAIN}
    result = CliRunner().invoke(cli, arguments, env=environment)
    assert result.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", result.output)
    assert not chosen


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORTRAIT_PORT", "seven", "PORTRAIT_PORT='seven': Input should be a valid integer"),
        ("portrait_port", "seven", "portrait_port='seven': Input should be a valid integer"),
        ("PORTRAIT_PORT", "70000", "PORTRAIT_PORT='70000': Input should be less than or equal to 65535"),
        ("PORTRAIT_PROCESSES", "0", "PORTRAIT_PROCESSES='0': Input should be greater than or equal to 1"),
        ("PORTRAIT_DRAIN_SECONDS", "20s", "PORTRAIT_DRAIN_SECONDS='20s': Input should be a valid number"),
        ("PORTRAIT_DRAIN_SECONDS", "nan", "PORTRAIT_DRAIN_SECONDS='nan': Input should be a finite number"),
        ("PORTRAIT_MAX_DEADLINE_SECONDS", "inf", "PORTRAIT_MAX_DEADLINE_SECONDS='inf': Input should be a finite"),
        ("PORTRAIT_MAX_DEADLINE_SECONDS", "5", "(PORTRAIT_MAX_DEADLINE_SECONDS='5')"),
        ("PORTRAIT_LOG_LEVEL", "INFO", "PORTRAIT_LOG_LEVEL='INFO': Input should be 'debug', 'info', 'warning'"),
        ("PORTRAIT_RETAIN", "view", "PORTRAIT_RETAIN='view': the period of view, '', is none of 1d to 36500d (days)"),
        ("PORTRAIT_CONSENT_RISK", "yes", "PORTRAIT_CONSENT_RISK='yes': Input should be 'granted'"),
        ("PORTRAIT_TLS_KEY", "-----BEGIN", "set both or neither (PORTRAIT_TLS_KEY=…)"),
        ("PORTRAIT_SETTINGS_FILE", "none.toml", "PORTRAIT_SETTINGS_FILE='none.toml': No such file or directory"),
        ("PORTRAIT_SETTINGS_FILE", ".", "PORTRAIT_SETTINGS_FILE='.': Is a directory"),
    ],
)
def test_a_variable_that_can_not_be_is_named(variable: str, value: str, said: str, chosen: list[Settings]) -> None:
    result = CliRunner().invoke(cli, [], env={variable: value, **PLAIN})
    assert result.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", result.output)
    assert "BEGIN" not in result.output
    assert not chosen


@pytest.mark.parametrize(
    "variable", ["PORTRAIT_PORT", "PORTRAIT_TRITON_URL", "PORTRAIT_SETTINGS_FILE", "PORTRAIT_LOG_LEVEL"]
)
def test_an_empty_variable_is_none(variable: str, chosen: list[Settings]) -> None:
    result = CliRunner().invoke(cli, [], env={variable: ""})
    assert result.exit_code == 0, result.output
    assert chosen == [Settings()]


SERVICE_LINKS = {
    "PORTRAIT_SERVICE_HOST": "10.0.0.1",
    "PORTRAIT_SERVICE_PORT": "50051",
    "PORTRAIT_SERVICE_PORT_GRPC": "50051",
    "PORTRAIT_PORT": "tcp://10.0.0.1:50051",
    "PORTRAIT_PORT_50051_TCP": "tcp://10.0.0.1:50051",
    "PORTRAIT_PORT_50051_TCP_PROTO": "tcp",
    "PORTRAIT_PORT_50051_TCP_PORT": "50051",
    "PORTRAIT_PORT_50051_TCP_ADDR": "10.0.0.1",
    "PORTRAIT_METRICS_PORT": "tcp://[fd00::1]:9464",
    "PORTRAIT_METRICS_SERVICE_HOST": "fd00::1",
    "PORTRAIT_TRITON_PORT": "udp://10.0.0.2:8001",
}
"""Variables that Kubernetes sets for the services `portrait`, `portrait-metrics` and `portrait-triton`."""


def test_the_addresses_of_services_are_no_settings(chosen: list[Settings], tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, [], env=SERVICE_LINKS)
    assert result.exit_code == 0, result.output
    assert chosen == [Settings()]
    file = tmp_path / "portrait.toml"
    file.write_text("port = 7", encoding="utf-8")
    CliRunner().invoke(cli, ["--settings-file", str(file)], env=SERVICE_LINKS)
    assert chosen[1].port == 7
    file.write_text("port = 70000", encoding="utf-8")
    told = CliRunner().invoke(cli, ["--settings-file", str(file)], env=SERVICE_LINKS | PLAIN).output
    assert "port = 70000" in told


def test_variables_that_are_not_read_are_told_with_the_reason_but_not_their_value() -> None:
    variables = SERVICE_LINKS | {
        "PORTRAIT_PROT": "secret",
        "PORTRAIT_HOST": "::",
        "PORTRAIT_ADDRESS": "a:1",
        "PORT": "1",
    }
    ignored = ignored_variables(Settings.model_fields, variables)
    assert ignored.keys() == {"PORTRAIT_PORT", "PORTRAIT_METRICS_PORT", "PORTRAIT_PROT"}
    assert ignored["PORTRAIT_PROT"] == "no setting has this name; did you mean PORTRAIT_PORT?"
    assert "enableServiceLinks" in ignored["PORTRAIT_PORT"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export-deletions", "build-audience-table"])
def test_every_command_logs_the_variables_that_it_ignores(command: str, tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    state = ("--state", str(tmp_path / "state.db"))
    environment = os.environ | {"PORTRAIT_PROT": "secret", "PORTRAIT_PORT": "tcp://10.0.0.1:50051"}
    program = [str(Path(sys.executable).parent / "portrait"), command, *state]
    done = subprocess.run(program, env=environment, capture_output=True, encoding="utf-8", cwd=tmp_path, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [(line["event"], line.get("variable")) for line in lines] == [
        ("variable_ignored", "PORTRAIT_PROT"), ("variable_ignored", "PORTRAIT_PORT"), ("startup_failed", None),
    ]  # fmt: skip
    assert "secret" not in done.stderr


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]
