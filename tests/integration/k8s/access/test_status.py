"""The table that `status` shows."""

from __future__ import annotations

import json

import pytest

from tests.integration.k8s.conftest import ANSWERS, Run
from tests.kubeapi.classifier import Classifier
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi


def test_each_pod_is_asked_for_its_model(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", "--set=autoscaling.enabled=true").code == 0
    scaler = api.objects.all("horizontalpodautoscalers")[0]
    current = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 45}}}
    scaler["status"] = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [current]}
    done = k8s("status", "demo", "--interval", "0.1")
    lines = done.out.splitlines()
    assert lines[0] == "demo in default: runs revision 1, image-classifier-0.1.0"
    assert "hpa demo-image-classifier: 2 replicas, wants 2 of 2 to 10; cpu 45% of 70%" in lines
    assert lines[-1].split()[0] == "server"
    assert lines[-1].split()[2:] == ["yes", "0", "image_classifier:abcdefgh", "0123456789ab", "10.0", "ms", "0.0%"]


def test_a_pod_that_serves_another_model_shows(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1").code == 0
    with Classifier(ANSWERS, "image_classifier:other") as other:
        api.fates["reg.local/ic:1"] = Fate(port=other.port)
        found = json.loads(k8s("status", "demo", "--interval", "0.1", "--output", "json").out)
    assert {pod["model"] for pod in found["pods"]} == {"image_classifier:other"}
    assert found["components"]["server"] == {"desired": 2, "ready": 2, "updated": 2}


def test_pods_that_do_not_answer_are_listed_without_figures(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1").code == 0
    api.fates["reg.local/ic:1"] = Fate("unready")
    done = k8s("status", "demo")
    assert done.out.splitlines()[-1].split()[2:] == ["no", "0", "-", "-", "-", "-"]


def test_after_a_rollback_the_revision_that_runs_is_named(release: Run, k8s: Run) -> None:
    assert release("1").code == 0
    assert release("2").code == 0
    assert k8s("rollback", "demo").code == 0
    assert k8s("status", "demo", "--interval", "0").out.startswith("demo in default: runs revision 1, ")


def test_an_attempt_on_a_release_that_was_uninstalled_is_shown_until_abort(
    release: Run, k8s: Run, api: KubeApi
) -> None:
    assert release("1").code == 0
    lease = api.objects.all("leases")[0]
    lease["metadata"]["annotations"]["image-classifier/rolls-back-to"] = "1=gone"
    assert "interrupted (run `abort` or `release`)" in k8s("status", "demo", "--interval", "0").out.splitlines()[0]
    assert k8s("abort", "demo").code == 0
    assert "interrupted" not in k8s("status", "demo", "--interval", "0").out


def test_a_release_that_is_not_there_is_one_line(k8s: Run) -> None:
    done = k8s("status", "demo")
    assert done.code == 1
    assert done.error.startswith("no release demo in namespace default")


@pytest.mark.parametrize("verb", ["status", "release"])
def test_help_lists_the_flags(k8s: Run, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        k8s(verb, "--help")
    assert ended.value.code == 0
    assert "--namespace" in capsys.readouterr().out
