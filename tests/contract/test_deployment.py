"""The files of deploy/ name only what there is, and the tools that read them find no fault."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from portrait.server.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))
DOCUMENTED = set(re.findall(r"portrait_\w+", PAGES)) | {f"{name}_total" for name in re.findall(r"portrait_\w+", PAGES)}
SUFFIX = re.compile(r"_(bucket|count|sum)$")


def run(*command: object) -> str:
    program = shutil.which(str(command[0]))
    if program is None:
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run([program, *map(str, command[1:])], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions() -> Iterator[str]:
    """Every query of the alerts and of the dashboard."""
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    yield from (rule["expr"] for group in alerts["groups"] for rule in group["rules"])
    dashboard = json.loads((DEPLOY / "grafana" / "portrait.json").read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ()))


def test_every_metric_that_is_asked_for_is_documented() -> None:
    named = {SUFFIX.sub("", name) for each in expressions() for name in re.findall(r"\bportrait_\w+", each)}
    assert len(named) > 20
    assert named - DOCUMENTED == set()


def test_every_alert_has_a_page_and_a_test() -> None:
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    rules = {rule["alert"]: rule for group in alerts["groups"] for rule in group["rules"] if "alert" in rule}
    for name, rule in rules.items():
        assert (ROOT / rule["annotations"]["runbook"]).is_file(), name
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    tried = [each for test in tests for each in test["alert_rule_test"]]
    assert {each["alertname"] for each in tried if each.get("exp_alerts")} == rules.keys()
    assert {each["alertname"] for each in tried if not each.get("exp_alerts")} == rules.keys()


def test_the_alerts_fire_and_stay_silent() -> None:
    run("promtool", "check", "rules", DEPLOY / "prometheus" / "alerts.yaml")
    run("promtool", "test", "rules", DEPLOY / "prometheus" / "alerts_test.yaml")


def test_prometheus_can_parse_the_dashboard(tmp_path: Path) -> None:
    parsed = [each.replace("$__rate_interval", "1m") for each in expressions()]
    rules = [{"record": f"query:{number}", "expr": each} for number, each in enumerate(parsed)]
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8"
    )
    run("promtool", "check", "rules", tmp_path / "rules.yaml")


def test_every_setting_that_is_named_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ".Containerfile", ".service", ".tpl"}]
    named = {name for path in files for name in re.findall(r"\bPORTRAIT_([A-Z_]+)", path.read_text(encoding="utf-8"))}
    own = {"BIND", "GATEWAY_", "PROBE_"}  # of haproxy.cfg
    assert {name.lower() for name in named - own} <= Settings.model_fields.keys()
    template = (DEPLOY / "helm" / "portrait" / "templates" / "gateway.yaml").read_text(encoding="utf-8")
    toml = template.partition("portrait.toml: |")[2].partition("---")[0]
    assert set(re.findall(r"^    (\w+) = ", toml, re.MULTILINE)) <= Settings.model_fields.keys()


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd" / "portrait.service").read_text(encoding="utf-8")
    made = tmp_path / "portrait.service"
    made.write_text(unit.replace("/opt/portrait/.venv/bin/portrait", "/bin/true"), encoding="utf-8")
    assert run("systemd-analyze", "verify", "--man=no", made) == ""


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_is_yaml(path: Path) -> None:
    if "templates" not in path.parts:
        assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """The objects of the chart, with all that is optional."""
    chart = DEPLOY / "helm" / "portrait"
    run("helm", "lint", "--strict", chart)
    options = ("--set", "tls.secret=cert", "--set", "tls.clientCaSecret=ca", "--set", "triton.replicas=3")
    settings = ("--set", "gateway.settings.consent_advertising=granted")
    return [each for each in yaml.safe_load_all(run("helm", "template", "shop", chart, *options, *settings)) if each]


def test_the_chart_renders_settings_that_the_gateway_takes(rendered: list[dict[str, Any]], tmp_path: Path) -> None:
    [configuration] = [each for each in rendered if each["kind"] == "ConfigMap"]
    (tmp_path / "portrait.toml").write_text(configuration["data"]["portrait.toml"], encoding="utf-8")
    settings = Settings(settings_file=tmp_path / "portrait.toml")
    assert settings.triton_urls == [f"shop-triton-{number}.shop-triton:8001" for number in range(3)]
    assert settings.consent_advertising == "granted"


def test_the_chart_is_valid_for_kubernetes(rendered: list[dict[str, Any]]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    kinds = {each["kind"] for each in rendered}
    assert kinds >= {"Deployment", "StatefulSet", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
    for each in rendered:
        validate(each, "1.33", strict=True)
