"""Run `python -m k8s` as a person types it, against the test's cluster."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from subprocess import PIPE, Popen

from cluster.settings import REPOSITORY
from tests.cluster.product import Product, Release


def start(release: Release, verb: str, *flags: str, environment: Mapping[str, str] | None = None) -> Popen[str]:
    """Start a verb on a release; it writes its progress and its error line to standard error."""
    command = [sys.executable, "-m", "k8s", verb, release.name, "--namespace", release.namespace, *flags]
    env = {**release.cluster.environment, **(environment or {})}
    return Popen(command, cwd=REPOSITORY, env=env, text=True, start_new_session=True, stdout=PIPE, stderr=PIPE)


def k8s(release: Release, verb: str, *flags: str, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
    """Run a verb, check its exit code, and return its output, with its answer last."""
    process = start(release, verb, *flags, environment=environment)
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, err + out
    return err + out


def image(product: Product) -> str:
    """Return the image as `--image` expects it."""
    return f"{product.registry}/image-classifier@{product.digest}"


def serving(release: Release, component: str = "server") -> set[str]:
    """Return the images of a component's ready pods."""
    labels = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component={component}"
    pods = release.cluster.get("pods", "--namespace", release.namespace, "--selector", labels)["items"]
    going = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {pod["spec"]["containers"][0]["image"] for pod in going if pod["status"]["containerStatuses"][0]["ready"]}


def error(said: str, reason: str) -> bool:
    """Return whether the last line is an error that matches `reason`, a regular expression."""
    return re.search(f"^error: .*{reason}", said.rstrip().rpartition("\n")[2]) is not None
