import re
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from portrait.server import app
from portrait.server.commands import serve
from portrait.server.settings import Settings

cli = typer.Typer()
cli.command()(serve)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `portrait serve` would have run with."""
    runs: list[Settings] = []
    monkeypatch.setattr(app, "run", lambda settings, check: runs.append(settings))
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
    file.write_text('port = 1\nmetrics_port = 1\ndrain_seconds = 1.5\nlog_level = "debug"\n')
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
        (["--port", "70000"], "", "port: Input should be less than or equal to 65535"),
        (["--tls-key", "key.pem"], "", "tls_certificate and tls_key go together"),
        (["--tls-client-ca", "ca.pem"], "", "tls_client_ca needs tls_certificate"),
        (["--default-deadline-seconds", "90"], "", "default_deadline_seconds is longer"),
        ([], "prot = 1", "prot: Extra inputs are not permitted"),
        ([], "port = ", "settings_file: Invalid value"),
        (["--settings-file", "none.toml"], "", "No such file or directory"),
    ],
)
def test_a_setting_that_can_not_be_is_named(
    arguments: list[str], file: str, said: str, chosen: list[Settings], tmp_path: Path
) -> None:
    path = tmp_path / "portrait.toml"
    path.write_text(file)
    environment = {"PORTRAIT_SETTINGS_FILE": str(path), "COLUMNS": "200"}
    result = CliRunner().invoke(cli, arguments, env=environment)
    assert result.exit_code == 2
    assert said in result.output
    assert not chosen


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]
