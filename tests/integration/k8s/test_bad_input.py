"""What users get wrong: one clear line, an exit code, nothing changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import statuses
from tests.kubeapi.server import KubeApi

IMAGE = ("--image", "reg.local/ic:1")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "nobody"), 1, "no release nobody in namespace default (helm list --namespace default)"),
        (("promote", "nobody"), 1, "no release nobody"),
        (("rollback", "nobody"), 1, "no release nobody"),
        (("canary", "nobody", "--weight", "5", *IMAGE), 1, "no release nobody"),
        (("canary", "demo", "--weight", "105"), 1, "--weight 105: a share in per cent, 0 to 100"),
        (("release", "demo", *IMAGE, "-n", "elsewhere"), 1, "no namespace elsewhere"),
        (("release", "demo", *IMAGE, "--context", "other"), 4, "other"),
        (("release", "demo", *IMAGE, "--set", "replicaCount=two"), 1, "chart values: replicaCount: got string"),
        (("release", "demo", *IMAGE, "--set", "replicas=2"), 1, "additional properties 'replicas' not allowed"),
        (("release", "demo", *IMAGE, "--values", "nowhere.yaml"), 1, "--values nowhere.yaml: no such file"),
        (("release", "demo", *IMAGE, "--chart", "./nowhere"), 1, "nowhere"),
        (("release", "demo", *IMAGE, "--golden", "./nowhere"), 1, "golden set nowhere: No such file or directory"),
        (("release", "demo", *IMAGE, "--slo", "p99"), 1, "--slo p99: p99: write p99=200ms"),
        (("release", "demo", "--image", "reg.local/ic"), 1, "--image reg.local/ic: say which one"),
        (("release", "demo", "--image", "a b"), 1, "--image a b: not an image"),
        (("release", "Demo", *IMAGE), 1, "Demo: a release's name has small letters"),
        (("train", "demo", *IMAGE, "--store-claim", "store"), 1, "say what to train on"),
        (("train", "demo", *IMAGE, "--store-claim", "store", "--data-claim", "d"), 1, "store"),
    ],
)
def test_a_mistake_is_one_line(k8s: Run, api: KubeApi, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = k8s(*arguments)
    assert said in done.error
    assert done.code == code
    assert statuses(api) == {}
    assert api.objects.all("leases") == [] or api.objects.all("leases")[0]["spec"]["holderIdentity"] == ""


def test_the_missing_helm_is_named(k8s: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", "helm-that-is-not-there")
    done = k8s("status", "demo")
    assert done.code == 1
    assert done.error.startswith("helm-that-is-not-there: no such command; install Helm 3 or 4")


def test_the_missing_kubeconfig_is_named(k8s: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    done = k8s("status", "demo")
    assert done.code == 4
    assert f"no cluster: {tmp_path}/nowhere isn't there" in done.error


def test_a_cluster_that_does_not_answer_is_named(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    api.url = f"http://127.0.0.1:{port}"
    api.kubeconfig(tmp_path)
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error.startswith(f"the cluster at http://127.0.0.1:{port} can't be reached:")
    assert done.error.endswith("Connection refused")


def test_expired_credentials_are_named(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    api.kubeconfig(tmp_path, token="expired")
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error == "the cluster doesn't accept these credentials (expired?); log in again"


def test_errors_are_json_where_that_is_asked_for(k8s: Run) -> None:
    done = k8s("status", "nobody", "--output", "json")
    assert done.out.startswith('{"error": "no release nobody')
