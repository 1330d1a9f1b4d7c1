"""Releases whose model is fetched from a URL: the image stays, the model changes."""

from __future__ import annotations

from typing import Any

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi

SHA256 = {"cats": "ca" * 32, "dogs": "d0" * 32}


def model(name: str, prefix: str = "model") -> tuple[str, ...]:
    values = {
        "source": "url",
        "tag": f"{name}:v1",
        "url.location": f"https://models.example.com/{name}.bentomodel",
        "url.sha256": SHA256[name],
    }
    return tuple(f"--set={prefix}.{key}={value}" for key, value in values.items())


def fetches(api: KubeApi, component: str) -> list[Any]:
    """Return the arguments of the init container of a component."""
    labels = f"app.kubernetes.io/instance=demo,app.kubernetes.io/component={component}"
    (found,) = api.objects.all("deployments", labels)
    return [container["args"] for container in found["spec"]["template"]["spec"].get("initContainers", [])]


def arguments(name: str) -> list[str]:
    return [f"https://models.example.com/{name}.bentomodel", f"--sha256={SHA256[name]}", "--into=/bentoml"]


def test_the_pods_of_a_release_fetch_the_model(release: Run, api: KubeApi) -> None:
    done = release("1", *model("cats"))
    assert done.code == 0, done.err
    assert fetches(api, "server") == [arguments("cats")]
    # The next release keeps the model, as it keeps all values.
    assert release("2").code == 0
    assert fetches(api, "server") == [arguments("cats")]


def test_promoting_a_canary_promotes_its_model(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", "--set", "replicaCount=3", *model("cats")).code == 0
    done = k8s("canary", "demo", "--weight", "25", "--slo", "none", *model("dogs", "canary.model"))
    assert done.code == 0, done.err
    assert (fetches(api, "server"), fetches(api, "canary")) == ([arguments("cats")], [arguments("dogs")])
    assert k8s("promote", "demo").code == 0
    assert fetches(api, "server") == [arguments("dogs")]
    assert serving(api) == {"reg.local/ic:1"}


def test_the_error_of_a_failed_fetch_is_shown(release: Run, api: KubeApi) -> None:
    said = "error: https://models.example.com/cats.bentomodel has the SHA-256 00, not ca"
    api.fates["reg.local/ic:1"] = Fate("no-model", log=said + "\n")
    done = release("1", *model("cats"))
    assert done.code == 3
    assert f"container fetch-model ended 3 times, exit code 4; its last line: {said}; demo is unchanged" in done.error
    assert statuses(api) == {}
    assert leftovers(api) == []
