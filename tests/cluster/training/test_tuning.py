"""Pods on two nodes share a search as a Job; one is killed, and the best options are retrained and stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.cluster import command, postgresql, workloads
from tests.cluster.jobs import kill, pods
from tests.cluster.product import Release

TRIALS = 5
PASSWORD = "for-this-test-alone"


def test_pods_share_a_search_even_if_one_is_killed(
    release: Release, training_image: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    secret = postgresql.start(release.cluster, release.namespace, PASSWORD, tmp_path)
    release.cluster.apply(release.namespace, workloads.claim("models"))
    flags = ["--store-claim", "models", "--workers", "2", "--storage-secret", secret, "--cpu", "400m"]
    options = ["--data", "digits", "--image-size", "8", "--depth", "1", "--width", "8", "--epochs", "3", "--no-int8"]
    options += ["--search", "random", "--trials", str(TRIALS), "--retrain"]
    ended: dict[int, str] = {}
    nodes = set[str]()
    with command.start(
        release, "tune", "--image", training_image, *flags, "--output", "json", "--", *options
    ) as tuning:
        assert tuning.stderr
        assert tuning.stdout
        for line in tuning.stderr:
            assert PASSWORD not in line
            if found := re.match(r"Trial +(\d+)  (\w+)", line):
                ended[int(found[1])] = found[2]
                if not nodes:
                    nodes = {pod["spec"]["nodeName"] for pod in pods(release)}
                    kill(release, index=1)
        said = tuning.stdout.read()
    assert tuning.returncode == 0, said
    assert len(nodes) == 2
    assert [pod["status"]["phase"] for pod in pods(release)].count("Succeeded") == 2
    # The default options are one more trial; the killed pod's trial was run again.
    assert [*ended.values()].count("val_loss") == 1 + TRIALS, ended
    model = json.loads(said)["model"]
    assert model.startswith("image_classifier:")
    figure(f"{len(ended)} trials by two pods, one killed after the first; {model} stored")
