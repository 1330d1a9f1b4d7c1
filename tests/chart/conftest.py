"""Render the chart with a real Helm. The same values are rendered only once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.chart.manifests import Manifests

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/image-classifier"
PROFILES = ("dev", "prod", "gpu", "eks", "gke", "aks")
CRDS = ("monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1", "keda.sh/v1alpha1")
Values = dict[str, Any]


class ChartError(Exception):
    """Helm failed. The message is its error output."""


@cache
def helm_path(major: str = "") -> str:
    """Return the path of Helm: the one that scripts/helm finds, or the given major version."""
    environment = os.environ | ({"HELM_MAJOR": major} if major else {})
    done = subprocess.run(
        [ROOT / "scripts/helm", "which"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no Helm {major}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def run_helm(*arguments: str | Path, major: str = "") -> str:
    """Run a helm command and return its output.

    Raises:
        ChartError: Helm failed.
    """
    done = subprocess.run([helm_path(major), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChartError(done.stderr)
    return done.stdout


@cache
def _template(values: str, profiles: tuple[str, ...], crds: bool, release: str, major: str) -> Manifests:
    arguments = [release, str(CHART), "--namespace", "ml", "--kube-version", "1.34.0"]
    for profile in profiles:
        arguments += ["--values", str(CHART / f"values-{profile}.yaml")]
    if crds:
        arguments += ["--api-versions", ",".join(CRDS)]
    done = subprocess.run(
        [helm_path(major), "template", *arguments, "--values", "-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ChartError(done.stderr)
    return Manifests.parse(done.stdout)


def nested(values: Values) -> Values:
    """Return nested values from values whose keys are paths, such as `image.tag`."""
    result: Values = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        where = result
        for parent in parents:
            where = where.setdefault(parent, {})
        where[last] = value
    return result


def template(
    values: Values | None = None, *profiles: str, crds: bool = True, release: str = "web", major: str = ""
) -> Manifests:
    """Render the chart. The keys of `values` are paths and override the profiles."""
    return _template(json.dumps(nested(values or {})), profiles, crds, release, major)


def refusal(values: Values, *, crds: bool = True) -> str:
    """Return the error message for values that Helm must refuse."""
    with pytest.raises(ChartError) as caught:
        template(values, crds=crds)
    return str(caught.value)


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    return run_helm
