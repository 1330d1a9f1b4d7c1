"""Helm 3 and Helm 4 render the same objects."""

from __future__ import annotations

import pytest

from tests.chart.conftest import CHART, PROFILES, ChartError, run_helm, template
from tests.chart.switches import SWITCHES


@pytest.mark.parametrize("major", ["3", "4"])
def test_the_requested_helm_version_runs(major: str) -> None:
    assert run_helm("version", "--template", "{{.Version}}", major=major).startswith(f"v{major}.")


@pytest.mark.parametrize("profile", PROFILES)
def test_both_versions_render_a_profile_alike(profile: str) -> None:
    assert template({}, profile, major="3").objects == template({}, profile, major="4").objects


@pytest.mark.parametrize("switch", SWITCHES)
def test_both_versions_render_a_switch_alike(switch: str) -> None:
    three, four = (template(SWITCHES[switch], major=major) for major in ("3", "4"))
    assert three.objects == four.objects


@pytest.mark.parametrize("major", ["3", "4"])
def test_both_versions_accept_the_chart_and_refuse_wrong_values(major: str) -> None:
    assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART), major=major)
    with pytest.raises(ChartError, match="replicaCount"):
        template({"replicaCount": "two"}, major=major)
    with pytest.raises(ChartError, match="cannot be combined"):
        template({"keda.enabled": True, "autoscaling.enabled": True}, major=major)
