"""Good releases, and each kind of bad one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.k8s.clock import Clock
from tests.integration.k8s.conftest import ANSWERS, WRONG, Run
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.classifier import store
from tests.kubeapi.server import KubeApi


def test_a_good_version_is_proved_as_a_candidate_and_rolled_out(release: Run, api: KubeApi) -> None:
    done = release("1", "--output", "json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["revision"] == 1
    assert [line.split("-")[1] for line in answer["checks"]] == ["candidate", "image", "image"]
    assert all("2 golden images, classes equal" in line for line in answer["checks"])
    assert serving(api) == {"reg.local/ic:1"}
    assert statuses(api) == {1: "deployed"}
    assert leftovers(api) == []


def test_a_release_keeps_its_values_unless_a_file_replaces_them(release: Run, api: KubeApi, tmp_path: Path) -> None:
    assert release("1", "--set", "replicaCount=3").code == 0
    assert release("2").code == 0
    assert api.objects.all("deployments")[0]["spec"]["replicas"] == 3
    (tmp_path / "values.yaml").write_text("podLabels: {team: a}\n")
    assert release("3", "--values", str(tmp_path / "values.yaml")).code == 0
    assert api.objects.all("deployments")[0]["spec"]["replicas"] == 2


def test_a_tag_that_is_pushed_again_is_rolled_out_by_the_digest_that_was_proved(release: Run, api: KubeApi) -> None:
    for letter in "ab":
        name = f"reg.local/ic@sha256:{letter * 64}"
        api.fates[name] = api.fates["reg.local/ic:1"] = replace(api.fates["reg.local/ic:1"], image_id=name)
        done = release("1")
        assert done.code == 0, done.err
        assert "same image" not in done.out
        assert serving(api) == {name}
    assert release("1").out == "demo: revision 3 is rolled out, with the same image and values\n"
    assert release("2").code == 0
    assert serving(api) == {"reg.local/ic:2"}


def test_every_flag_of_helm_that_sets_a_value_is_taken(release: Run, k8s: Run, api: KubeApi, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("by hand")
    note = f"podAnnotations.note={tmp_path / 'note'}"
    sets = ("--set-string", "podLabels.build=12", "--set-json", 'podLabels={"team": "a"}', "--set-file", note)
    assert release("1", *sets).code == 0
    metadata = api.objects.all("deployments")[0]["spec"]["template"]["metadata"]
    assert metadata["labels"].items() >= {("build", "12"), ("team", "a")}
    assert metadata["annotations"]["note"] == "by hand"
    shown = k8s("manifests", *sets).out
    assert 'build: "12"' in shown
    assert "note: by hand" in shown


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("wrong", "golden set: 2 of 2 images differ: 00.png: expected 7 (0.9900), got 1 (0.9000)"),
        ("crash", "container server ended 3 times, exit code 1; its last line: MODEL_TAG=x: no such model"),
        ("missing", "ErrImageNeverPull: reg.local/ic:missing: not present with pull policy of Never"),
    ],
)
def test_a_bad_version_never_reaches_the_release(release: Run, api: KubeApi, tag: str, reason: str) -> None:
    assert release("1").code == 0
    done = release(tag)
    assert done.code == 3
    assert reason in done.error
    assert done.error.endswith("demo is unchanged")
    assert serving(api) == {"reg.local/ic:1"}
    assert statuses(api) == {1: "deployed"}
    assert leftovers(api) == []


def test_a_release_whose_pods_never_get_ready_fails_at_the_timeout(release: Run, api: KubeApi) -> None:
    done = release("unready", "--timeout", "4s")
    assert done.code == 3
    assert "not done after" in done.error
    assert "container server runs but isn't ready (0 restarts)" in done.error
    assert statuses(api) == {}
    assert leftovers(api) == []


def test_a_rollout_beyond_the_quota_is_rolled_back_with_its_figures(release: Run, api: KubeApi, clock: Clock) -> None:
    assert release("1").code == 0
    clock.now = 0
    api.most_pods = 3  # enough for the candidate
    done = release("2", "--set", "replicaCount=3")
    assert done.code == 3
    assert "exceeded quota: few, used: pods=3, limited: pods=3; rolled back to revision 1" in done.error
    assert serving(api) == {"reg.local/ic:1"}
    assert statuses(api) == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert 10 <= clock.now < 60  # ending pods may still make room


def test_pods_are_compared_with_the_golden_set_that_a_flag_names(release: Run, tmp_path: Path) -> None:
    done = release("1", "--golden", str(store(tmp_path / "mine", WRONG)))
    assert done.code == 3
    assert "expected 1 (0.9000), got 7 (0.9900)" in done.error
    assert release("wrong", "--golden", str(store(tmp_path / "other", WRONG))).code == 0


def test_the_golden_set_of_the_local_store_is_preferred_to_the_pods(release: Run, environment: Path) -> None:
    differing = {image: (name, confidence - 0.002) for image, (name, confidence) in ANSWERS.items()}
    store(environment, differing)
    done = release("1")
    assert done.code == 3
    assert "the confidence differs by 0.0020" in done.error


def test_service_levels_are_measured_with_locust(k8s: Run, api: KubeApi) -> None:
    common = ("--rate", "40", "--load-time", "5s", "--timeout", "120s")
    good = k8s("release", "demo", "--image", "reg.local/ic:1", "--slo", "p99=20s,errors=0", *common)
    assert good.code == 0, good.err
    assert "service levels: p99" in good.err
    slow = k8s("release", "demo", "--image", "reg.local/ic:slow", "--slo", "p50=100ms", *common)
    assert slow.code == 3
    assert "ms > 100ms" in slow.error
    assert statuses(api) == {1: "deployed"}


def test_a_dry_run_changes_nothing(release: Run, api: KubeApi) -> None:
    assert release("1", "--dry-run").code == 0
    assert statuses(api) == {}
    assert api.objects.all("leases") == []
    assert api.objects.all("deployments") == []
