"""A user's mistake gives one clear line and an exit code, and changes nothing."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import statuses
from tests.kubeapi.server import KubeApi

IMAGE = ("--image", "reg.local/ic:1")
URL_MODEL = ("--set", "model.source=url,model.tag=a:b,model.url.location=https://models.example.com/a.bentomodel")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "nobody"), 1, "no release nobody in namespace default (helm list --namespace default)"),
        (("promote", "nobody"), 1, "no release nobody"),
        (("rollback", "nobody"), 1, "no release nobody"),
        (("canary", "nobody", "--weight", "5", *IMAGE), 1, "no release nobody"),
        (("canary", "demo", "--weight", "105"), 1, "--weight 105: must be a percentage, 0 to 100"),
        (("release", "demo", *IMAGE, "-n", "elsewhere"), 1, "no namespace elsewhere"),
        (("release", "demo", *IMAGE, "--context", "other"), 4, "other"),
        (
            ("release", "demo", *IMAGE, "--set", "replicaCount=two", "--slo", "none"),
            1,
            "chart values: replicaCount: got string",
        ),
        (("release", "demo", *IMAGE, "--set", "replicas=2"), 1, "additional properties 'replicas' not allowed"),
        (("release", "demo", *IMAGE, "--values", "nowhere.yaml"), 1, "--values nowhere.yaml: no such file"),
        (("release", "demo", *IMAGE, "--chart", "./nowhere"), 1, "nowhere"),
        (("release", "demo", *IMAGE, "--golden", "./nowhere"), 1, "golden set nowhere: No such file or directory"),
        (("release", "demo", *IMAGE, "--slo", "p99"), 1, "--slo p99: p99: write p99=200ms"),
        (("release", "demo", "--image", "reg.local/ic"), 1, "--image reg.local/ic: a tag or digest is missing"),
        (("release", "demo", "--image", "a b"), 1, "--image a b: not an image"),
        (("release", "Demo", *IMAGE), 1, "Demo: a release's name has lower-case letters"),
        (("release", "demo", *IMAGE, "--url", "gateway"), 1, "--url gateway: write http://HOST[:PORT]"),
        (("release", "demo", *IMAGE, "--url", "http://h:port"), 1, "--url http://h:port: write http://HOST[:PORT]"),
        (("release", "demo", *IMAGE, "--url", "http://h", "--golden", "none"), 1, "which --golden none leaves out"),
        (("release", "demo", *IMAGE, *URL_MODEL), 1, "model.url.sha256"),
        (("status", "demo", "--interval", "-1"), 1, "--interval -1: must be 0 to 3600 seconds"),
        (("canary", "demo", "--weight", "5", "--replicas", "0"), 1, "--replicas 0: must be at least 1"),
        (("train", "demo", *IMAGE, "--store-claim", "store"), 1, "no training data"),
        (("train", "demo", *IMAGE, "--store-claim", "store", "--data-claim", "d"), 1, "store"),
    ],
)
def test_a_mistake_is_one_line(k8s: Run, api: KubeApi, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = k8s(*arguments)
    assert said in done.error
    assert done.code == code
    assert statuses(api) == {}
    assert api.objects.all("leases") == [] or api.objects.all("leases")[0]["spec"]["holderIdentity"] == ""


def test_a_missing_helm_is_named(k8s: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", "helm-that-is-not-there")
    done = k8s("rollback", "demo")
    assert done.code == 1
    assert done.error.startswith("helm-that-is-not-there: no such command; install Helm 3 or 4")


def test_a_missing_kubeconfig_is_named(k8s: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    done = k8s("status", "demo")
    assert done.code == 4
    assert f"no cluster: {tmp_path}/nowhere doesn't exist" in done.error


@pytest.mark.parametrize("content", ["a: [b", "- a", "hello", ""], ids=["no YAML", "list", "text", "empty"])
def test_an_invalid_kubeconfig_is_named(k8s: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error.startswith("kubeconfig: ")
    assert f"{tmp_path}/kubeconfig" in done.error


def test_a_missing_credential_command_is_named(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    file = api.kubeconfig(tmp_path)
    document = yaml.safe_load(file.read_text())
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "args": []}
    document["users"][0]["user"] = {"exec": command}
    file.write_text(yaml.safe_dump(document))
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error.startswith("kubeconfig: its credential command failed: ")
    assert "'no-such-plugin'" in done.error
    assert len(done.err.splitlines()) == 1


def test_a_missing_package_is_named(k8s: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    done = k8s("status", "demo")
    assert done.code == 1
    assert done.error == "the package kubernetes isn't installed: pip install -r k8s/requirements.in"


def test_a_cluster_that_does_not_answer_is_named(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    api.url = f"http://127.0.0.1:{port}"
    api.kubeconfig(tmp_path)
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error.startswith(f"the cluster at http://127.0.0.1:{port} can't be reached:")
    assert done.error.endswith("Connection refused")
    assert "HTTPConnection" not in done.error


def test_expired_credentials_are_named(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    api.kubeconfig(tmp_path, token="expired")
    done = k8s("status", "demo")
    assert done.code == 4
    assert done.error == "the cluster doesn't accept these credentials (expired?); log in again"


def test_errors_are_json_with_output_json(k8s: Run) -> None:
    done = k8s("status", "nobody", "--output", "json")
    assert done.out.startswith('{"error": "no release nobody')
