"""A candidate fits each cluster: it has what its release's pods have, and waits for room or does without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.k8s.clock import Clock
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import leftovers, serving
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi

OWNER = "meta.helm.sh/release-name"
NO_SURGE = ("--set", "rollout.maxSurge=0", "--set", "rollout.maxUnavailable=1")


def owners(api: KubeApi, kind: str) -> dict[str, str]:
    return {each["metadata"]["name"]: each["metadata"]["annotations"][OWNER] for each in api.objects.all(kind)}


def watched(api: KubeApi) -> list[dict[str, Any]]:
    """Return the list of what is there each time that a port of a candidate's pod is asked."""
    seen: list[dict[str, Any]] = []

    def see(method: str, path: str) -> None:
        if path.endswith("/portforward") and "candidate" in path:
            (own,) = (d for d in api.objects.all("deployments") if "candidate" in d["metadata"]["name"])
            account = own["spec"]["template"]["spec"]["serviceAccountName"]
            kinds = {kind: owners(api, kind) for kind in ("serviceaccounts", "configmaps")}
            seen.append({"account": account} | kinds)

    api.on_request = see
    return seen


def test_a_candidate_runs_as_its_release_with_the_extra_objects_that_it_needs(
    release: Run, api: KubeApi, tmp_path: Path
) -> None:
    """Cloud roles are bound to the account's name, and pods don't start without the objects that they refer to."""
    seen = watched(api)
    labels = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"text": "{{`{{ kept }}`}}"}}
    kept = {"helm.sh/resource-policy": "keep"}
    old = labels | {"metadata": {"name": "{{ .Release.Name }}-old", "annotations": kept}}
    new = labels | {"metadata": {"name": "{{ .Release.Name }}-new"}}
    for tag, objects in (("1", [old]), ("2", [old, new])):
        file = tmp_path / "values.json"
        file.write_text(json.dumps({"extraObjects": objects}))
        done = release(tag, "--values", str(file))
        assert done.code == 0, done.err
    first, second = seen[0], seen[-1]
    name = "demo-image-classifier"
    assert first["account"] == second["account"] == name
    assert first["serviceaccounts"] == {name: "demo-candidate"}
    assert second["serviceaccounts"] == {name: "demo"}
    assert first["configmaps"]["demo-old"] == "demo-candidate"
    assert (second["configmaps"]["demo-old"], second["configmaps"]["demo-new"]) == ("demo", "demo-candidate")
    assert owners(api, "serviceaccounts") == {name: "demo"}
    assert {name: owner for name, owner in owners(api, "configmaps").items() if name in ("demo-old", "demo-new")} == {
        "demo-old": "demo",
        "demo-new": "demo",
    }
    texts = {each["data"].get("text") for each in api.objects.all("configmaps")}
    assert "{{ kept }}" in texts
    assert leftovers(api) == []


def test_a_candidate_has_an_empty_folder_for_a_claim_that_the_release_creates(
    release: Run, api: KubeApi, tmp_path: Path
) -> None:
    """A pod whose claim is missing waits until it's refused, so the first release with a claim could never be made."""
    seen: list[Any] = []

    def see(method: str, path: str) -> None:
        if path.endswith("/portforward") and "candidate" in path:
            (own,) = (d for d in api.objects.all("deployments") if "candidate" in d["metadata"]["name"])
            volumes = own["spec"]["template"]["spec"]["volumes"]
            cache = next(volume for volume in volumes if volume["name"] == "cache")
            found = cache, len(api.objects.all("persistentvolumeclaims"))
            seen.extend([found] if found not in seen else [])

    api.on_request = see
    claim = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "{{ .Release.Name }}-cache"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    mounted = {"name": "cache", "persistentVolumeClaim": {"claimName": "demo-cache"}}
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"extraObjects": [claim], "extraVolumes": [mounted]}))
    for tag in ("1", "2"):
        done = release(tag, "--values", str(file))
        assert done.code == 0, done.err
    assert seen == [({"name": "cache", "emptyDir": {}}, 0), (mounted, 1)]
    assert owners(api, "persistentvolumeclaims") == {"demo-cache": "demo"}


def without_room(api: KubeApi) -> None:
    """Leave no room for a candidate. The stub starts new pods before it ends old ones, so the rollout gets room."""
    api.most_pods = 2

    def see(method: str, path: str) -> None:
        if method == "DELETE" and path.endswith("/deployments/demo-candidate"):
            api.most_pods = 100

    api.on_request = see


def test_a_rollout_without_surge_does_without_a_candidate_that_has_no_room(
    release: Run, api: KubeApi, clock: Clock
) -> None:
    assert release("1", *NO_SURGE).code == 0
    without_room(api)
    done = release("2")
    assert done.code == 0, done.err
    assert "rollout.maxSurge is 0, so the rollout starts without a candidate" in done.err
    assert serving(api) == {"reg.local/ic:2"}
    assert leftovers(api) == []


@pytest.mark.parametrize("options", [("--candidate", "always"), ("--set", "rollout.maxSurge=1")])
def test_a_candidate_without_room_is_refused_where_it_must_be_or_where_the_rollout_needs_room_too(
    release: Run, api: KubeApi, clock: Clock, options: tuple[str, str]
) -> None:
    assert release("1", *NO_SURGE).code == 0
    without_room(api)
    done = release("2", *options)
    assert done.code == 3
    assert "exceeded quota" in done.error
    assert serving(api) == {"reg.local/ic:1"}


def test_a_release_can_do_without_a_candidate(release: Run, api: KubeApi) -> None:
    assert release("1", "--candidate", "never").code == 0
    done = release("wrong", "--candidate", "never")
    assert done.code == 3
    assert "rolled back to revision 1" in done.error
    assert "candidate" not in done.err


@pytest.mark.parametrize(("options", "least"), [((), 60), (("--node-timeout", "5m"), 300)])
def test_a_pod_waits_for_a_node_as_long_as_the_option_says(
    release: Run, api: KubeApi, clock: Clock, options: tuple[str, ...], least: int
) -> None:
    api.fates["reg.local/ic:1"] = Fate("unschedulable")
    done = release("1", *options)
    assert done.code == 3
    assert "see --node-timeout" in done.error
    assert least <= clock.now < least + 60


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_a_pod_for_which_an_autoscaler_adds_a_node_waits_as_long_as_the_command_may(
    release: Run, api: KubeApi, clock: Clock, reason: str
) -> None:
    api.fates["reg.local/ic:1"] = Fate("unschedulable")

    def see(method: str, path: str) -> None:
        for pod in api.objects.all("pods"):
            about = {"kind": "Pod", "name": pod["metadata"]["name"]}
            event = {"kind": "Event", "metadata": {"name": "node"}, "reason": reason, "involvedObject": about}
            api.objects.put("events", event)

    api.on_request = see
    done = release("1", "--timeout", "20m")
    assert done.code == 3
    assert done.err.count("waiting for the node that the autoscaler adds") == 1
    assert clock.now >= 1000
