"""List and kill the pods of a Job that `python -m k8s` made; the Job has the release's name."""

from __future__ import annotations

from typing import Any

from tests.cluster.product import Release


def kill(release: Release, index: int | None = None) -> None:
    """Delete a Job's pod without warning, as if its node had failed."""
    (pod,) = (pod["metadata"]["name"] for pod in pods(release, index))
    release.cluster.kubectl("-n", release.namespace, "delete", "pod", pod, "--force", "--grace-period=0")


def pods(release: Release, index: int | None = None) -> list[dict[str, Any]]:
    """Return the pods of the Job, or of its worker `index`."""
    selector = f"batch.kubernetes.io/job-name={release.name}"
    selector += "" if index is None else f",batch.kubernetes.io/job-completion-index={index}"
    found: list[dict[str, Any]] = release.cluster.get("pods", "-n", release.namespace, "-l", selector)["items"]
    return found
