"""A search as an Indexed Job from the command line: its manifest, and following it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.k8s.conftest import Done, Run
from tests.kubeapi.pods import Fate
from tests.kubeapi.roles import permissions
from tests.kubeapi.server import KubeApi

TUNE = ("tune", "photos", "--store-claim", "store", "--data-claim", "photos", "--storage-secret", "studies")


@pytest.fixture
def tune(k8s: Run, api: KubeApi) -> Run:
    for claim in ("store", "photos"):
        api.objects.put("persistentvolumeclaims", {"metadata": {"name": claim}, "spec": {}})
    api.fates |= {
        "reg.local/t:1": Fate("0", log="Trial 0\nimage_classifier:abcd\nPublished it.\n"),
        "reg.local/t:unreachable": Fate("4", log="error: the study's storage: no route to host\n"),
    }
    # The pods read the Secret; the command doesn't.
    allowed = permissions("image-classifier-train")
    api.allowed = lambda *permission: permission in allowed

    def run(tag: str, *options: str) -> Done:
        return k8s(*TUNE, "--image", f"reg.local/t:{tag}", *options)

    return run


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_the_manifest_is_an_indexed_job_whose_password_stays_in_its_secret(tune: Run, api: KubeApi) -> None:
    done = tune("1", "--workers", "3", "--dry-run", "--", "--trials", "60", "--retrain")
    assert done.code == 0, done.err
    manifest = yaml.safe_load(done.out)
    spec = manifest["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["backoffLimit"] == 9
    container = container_of(manifest)
    storage = next(entry for entry in container["env"] if entry["name"] == "TUNE_STORAGE")
    assert storage["valueFrom"] == {"secretKeyRef": {"name": "studies", "key": "url"}}
    assert container["args"] == ["--data", "/data", "--trials", "60", "--retrain"]
    # The Job controller sets the label.
    (apart,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert apart["labelSelector"]["matchLabels"] == {"batch.kubernetes.io/job-name": "photos"}
    assert (apart["topologyKey"], apart["maxSkew"]) == ("kubernetes.io/hostname", 1)
    assert api.objects.all("jobs") == []


@pytest.mark.parametrize("index", [0, 1])
def test_only_worker_0_writes_the_runs_folder_and_retrains(tune: Run, tmp_path: Path, index: int) -> None:
    container = container_of(yaml.safe_load(tune("1", "--dry-run", "--", "--retrain").out))
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    variables = {"RUN": "photos", "JOB_COMPLETION_INDEX": str(index), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [*container["command"], *container["args"]]
    said = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True).stdout
    common = "-m training tune --data /data --retrain"
    if index == 0:
        assert said == f"{common} --study photos --out /store/runs/photos\n"
    else:
        assert said == f"{common} --no-retrain --study photos --out /tmp/tune\n"


def test_a_search_is_followed_to_its_end(tune: Run, api: KubeApi) -> None:
    done = tune("1", "--workers", "2", "--", "--retrain")
    assert done.code == 0, done.err
    assert done.out == "job photos is complete: image_classifier:abcd\n"
    assert done.err.count("Trial 0") == 2
    assert {pod["metadata"]["name"] for pod in api.objects.all("pods")} == {"photos-0-abcde", "photos-1-abcde"}


def test_the_exit_code_of_the_search_is_passed_on(tune: Run) -> None:
    done = tune("unreachable")
    assert done.code == 4
    assert done.err.endswith("error: job photos failed: exit code 4: error: the study's storage: no route to host\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "0"), "--workers 0: must be at least 1"),
        (("--", "--storage=postgresql+psycopg://me:secret@db/tune"), "--storage: leave it out"),
        (("--", "--study", "other"), "--study: leave it out"),
    ],
)
def test_a_wrong_flag_is_named(tune: Run, api: KubeApi, options: tuple[str, ...], message: str) -> None:
    done = tune("1", *options)
    assert done.code == 1
    assert done.error.startswith(message)
    assert "me:secret" not in done.err
    assert api.objects.all("jobs") == []
