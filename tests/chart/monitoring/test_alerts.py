"""promtool runs the cases in alerts*.yml on the rules that the chart renders."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import template

CASES = [Path(__file__).with_name(name) for name in ("alerts.yml", "alerts_of_days.yml")]
VALUES = {"prometheusRule.enabled": True, "autoscaling.enabled": True}


@pytest.fixture
def promtool(tmp_path: Path) -> Any:
    """Return a function that runs promtool on the rules, after replacing the text `change`."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not installed")

    def run(*command: str, change: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess[str]:
        rules = yaml.safe_dump(template(VALUES).spec("PrometheusRule"), width=1_000_000)  # each text on one line
        assert change[0] in rules
        (tmp_path / "rules.yml").write_text(rules.replace(*change) if change[0] else rules)
        for cases in CASES:
            shutil.copy(cases, tmp_path)
        return subprocess.run([binary, *command], cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_promtool_accepts_the_rules(promtool: Any) -> None:
    done = promtool("check", "rules", "--lint-fatal", "rules.yml")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_each_alert_fires_when_it_should_and_only_then(promtool: Any) -> None:
    done = promtool("test", "rules", "alerts.yml", "alerts_of_days.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    groups = template(VALUES).spec("PrometheusRule")["groups"]
    names = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    tests = [test for cases in CASES for test in yaml.safe_load(cases.read_text())["tests"]]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names


@pytest.mark.parametrize(
    "change",
    [
        ("app_kubernetes_io_component!=\"shadow\", ", ""),
        ("code=~\"5..\"", "code=~\"4..\""),
        ("> 14.4 *", "> 1440 *"),
        ("ratio_rate5m{", "ratio_rate1h{"),
    ],
)  # fmt: skip
def test_a_wrong_rule_fails_a_case(promtool: Any, change: tuple[str, str]) -> None:
    assert promtool("test", "rules", "alerts.yml", change=change).returncode == 1
