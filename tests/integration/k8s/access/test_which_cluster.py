"""Cluster, context and namespace are resolved once: whatever changes meanwhile, no process acts on another cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving, statuses
from tests.kubeapi.server import KubeApi


def two_contexts(api: KubeApi, other: KubeApi, folder: Path) -> Path:
    """Write a kubeconfig whose contexts `stub`, the current one, and `other` have different clusters."""
    file = api.kubeconfig(folder)
    document = yaml.safe_load(file.read_text())
    document["clusters"].append({"name": "other", "cluster": {"server": other.url}})
    document["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "stub"}})
    file.write_text(yaml.safe_dump(document))
    return file


def another_current_context(document: dict[str, object], other: KubeApi) -> None:
    document["current-context"] = "other"


def another_server_in_the_context(document: dict[str, object], other: KubeApi) -> None:
    document["clusters"] = [{"name": "stub", "cluster": {"server": other.url}}]
    document["contexts"] = [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}]


def another_namespace_in_the_context(document: dict[str, object], other: KubeApi) -> None:
    document["contexts"] = [{"name": "stub", "context": {"cluster": "stub", "user": "stub", "namespace": "elsewhere"}}]


@pytest.mark.parametrize(
    "change", [another_current_context, another_server_in_the_context, another_namespace_in_the_context]
)
def test_a_kubeconfig_that_changes_during_a_release_changes_nothing(
    release: Run, api: KubeApi, tmp_path: Path, change: Callable[[dict[str, object], KubeApi], None]
) -> None:
    with KubeApi() as other:
        file = two_contexts(api, other, tmp_path)

        def see(method: str, path: str) -> None:
            if path.endswith("/leases/demo-release"):
                document = yaml.safe_load(file.read_text())
                change(document, other)
                file.write_text(yaml.safe_dump(document))

        api.on_request = see
        done = release("1")
        assert done.code == 0, done.err
        assert statuses(api) == {1: "deployed"}
        assert serving(api) == {"reg.local/ic:1"}
        assert other.objects.all("secrets") == []


def test_a_kubeconfig_without_a_current_context_works_with_context(k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    file = api.kubeconfig(tmp_path)
    document = yaml.safe_load(file.read_text())
    del document["current-context"]
    file.write_text(yaml.safe_dump(document))
    done = k8s("release", "demo", "--image", "reg.local/ic:1", "--slo", "none", "--context", "stub")
    assert done.code == 0, done.err


@pytest.mark.parametrize("name", ["HELM_KUBECONTEXT", "HELM_KUBEAPISERVER", "HELM_NAMESPACE"])
def test_a_variable_that_directs_helm_alone_is_refused(
    release: Run, api: KubeApi, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "other")
    done = release("1")
    assert done.code == 1
    assert done.error.startswith(f"{name} is set, which only helm reads; unset it")
    assert statuses(api) == {}


def test_a_flag_overrules_a_variable_of_helm(release: Run, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_KUBECONTEXT", "other")
    monkeypatch.setenv("HELM_NAMESPACE", "other")
    done = release("1", "--context", "stub", "--namespace", "default")
    assert done.code == 0, done.err
    assert statuses(api) == {1: "deployed"}
