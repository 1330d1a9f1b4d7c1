"""The training Job's manifest."""

from __future__ import annotations

import argparse
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from k8s.errors import K8sError
from k8s.jobs.job import Training, manifest
from k8s.jobs.training import flags, request
from k8s.jobs.workers import service
from training.distributed.workers import from_environment
from training.errors import WorkersApart, WorkersLost

TRAINING = Training("photos", "t:1", "store", ("--data", "/data"), data_claim="images", data_path="photos/2026")


def test_the_job_satisfies_pod_security_restricted() -> None:
    pod = manifest(TRAINING)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} == {
        "persistentVolumeClaim",
        "emptyDir",
    }


def test_the_data_is_mounted_read_only_and_the_store_writable() -> None:
    pod = manifest(TRAINING)["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["data"] == {"name": "data", "mountPath": "/data", "readOnly": True, "subPath": "photos/2026"}
    assert mounts["store"] == {"name": "store", "mountPath": "/store"}
    alone = manifest(Training("digits", "t:1", "store", ("--data", "digits")))["spec"]["template"]["spec"]
    assert {volume["name"] for volume in alone["volumes"]} == {"store", "scratch"}


def test_credentials_of_object_storage_come_from_a_secret() -> None:
    arguments = ["demo", "--image", "t:1", "--store-claim", "models", "--env-secret", "bucket"]
    made = manifest(request_of(*arguments, rest=["--data", "s3://photos/cats"]))
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert container["args"] == ["--data", "s3://photos/cats"]
    assert "envFrom" not in manifest(TRAINING)["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("url", ["s3://me:hunter2@photos/a", "--data=az://photos/a?sig=hunter2"])
def test_a_url_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(K8sError, match="has a password") as caught:
        request_of("demo", "--image", "t:1", "--store-claim", "models", rest=["--data", url])
    assert "hunter2" not in str(caught.value)


def request_of(*arguments: str, rest: list[str]) -> Training:
    parser = argparse.ArgumentParser()
    flags(parser)
    return request(argparse.Namespace(**vars(parser.parse_args(arguments)), rest=rest))


def test_killed_pods_are_retried_and_mistakes_are_not() -> None:
    spec = manifest(TRAINING)["spec"]
    failing, drained = spec["podFailurePolicy"]["rules"]
    assert failing["action"] == "FailJob"
    assert failing["onExitCodes"]["values"] == [1, 2, 3]
    assert drained["action"] == "Ignore"
    assert spec["backoffLimit"] == 3
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_gpu_limit_is_set_only_if_asked_for() -> None:
    limits = manifest(TRAINING)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "4Gi"}
    with_gpu = manifest(Training("a", "t:1", "store", (), gpus=2))
    assert with_gpu["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"


@pytest.mark.parametrize("begun", [False, True])
def test_a_restarted_pod_resumes_the_run_of_the_previous_pod(tmp_path: Path, begun: bool) -> None:
    container = manifest(TRAINING)["spec"]["template"]["spec"]["containers"][0]
    run = tmp_path / "runs" / "photos"
    run.mkdir(parents=True)
    if begun:
        (run / "config.toml").touch()
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    script = container["command"][2].replace("/store/", f"{tmp_path}/")
    environment = os.environ | {"RUN": "photos", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [*container["command"][:2], script, container["command"][3], *container["args"]]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert said == f"-m training --resume {run}" if begun else f"-m training --data /data --out {run}"


def test_several_workers_become_an_indexed_job_and_a_headless_service() -> None:
    alone, divided = manifest(TRAINING), manifest(replace(TRAINING, workers=3))
    spec = divided["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["backoffLimit"] == 3 * alone["spec"]["backoffLimit"]
    *same, lost = spec["podFailurePolicy"]["rules"]
    assert same == alone["spec"]["podFailurePolicy"]["rules"]
    assert (lost["action"], lost["onExitCodes"]["values"]) == ("Ignore", [WorkersLost.exit_code])
    assert WorkersApart.exit_code not in same[0]["onExitCodes"]["values"]

    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    given = {entry["name"]: entry.get("value", "2") for entry in container["env"]}
    found = from_environment(given)
    assert (found.count, found.index) == (3, 2)
    headless = service(divided, uid="1234")
    host, _, port = found.coordinator.partition(":")
    assert host == f"photos-0.{headless['metadata']['name']}"
    assert pod["subdomain"] == headless["metadata"]["name"]
    assert headless["spec"]["clusterIP"] == "None"
    (apart,) = pod["topologySpreadConstraints"]
    assert apart["labelSelector"]["matchLabels"] == headless["spec"]["selector"]
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert [entry["port"] for entry in headless["spec"]["ports"]] == [int(port)]
    assert headless["metadata"]["ownerReferences"][0]["uid"] == "1234"
    # Everything else is as for one worker.
    assert pod["securityContext"] == alone["spec"]["template"]["spec"]["securityContext"]
    assert container["command"] == alone["spec"]["template"]["spec"]["containers"][0]["command"]
