"""Schemas in kubeconform's layout: Kubernetes' own from a PyPI package, custom resources from their Go modules."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import ROOT

# From the oldest version that the chart supports to the newest.
VERSIONS = ("1.30.0", "1.34.0", "1.37.0")
# Each module and version, with its checksum as in go.sum and the files to read.
MODULES = {
    "sigs.k8s.io/gateway-api@v1.4.1": (
        "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
        [f"config/crd/{channel}/gateway.networking.k8s.io_httproutes.yaml" for channel in ("standard", "experimental")],
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        ["config/crd/bases/keda.sh_scaledobjects.yaml"],
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        [
            f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
            for kind in ("servicemonitors", "podmonitors", "prometheusrules")
        ],
    ),
}


def folder() -> Path:
    """Return the folder of the schemas: one folder for each of `VERSIONS`, one named `custom` and one `experimental`.

    It is written once for each state of this file and of the package's lock.
    """
    state = Path(__file__).read_bytes() + (ROOT / "scripts/tools/wheels/kubernetes-schemas.txt").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-classifier"
    wanted = cache / f"schemas-{hashlib.sha256(state).hexdigest()[:16]}"
    if not wanted.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as part:
            made = Path(part) / "schemas"
            made.mkdir()
            _kubernetes(made)
            _custom(made)
            try:
                made.rename(wanted)
            except OSError:
                # Another test process may have written the folder in the meantime.
                if not wanted.exists():
                    raise
    return wanted


def _kubernetes(where: Path) -> None:
    command = [str(ROOT / "scripts/wheel"), "kubernetes-schemas"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no schemas of Kubernetes: {done.stderr.strip().splitlines()[-1]}")
    package = Path(done.stdout.strip()) / "kubernetes_validate/kubernetes-json-schema"
    for version in VERSIONS:
        (where / version).mkdir()
        for path in (package / f"v{version}-local-strict").iterdir():
            # With the original addresses, kubeconform would download the definitions.
            text = path.read_text(encoding="utf-8").replace('"/api/_definitions.json', '"_definitions.json')
            schema = json.loads(text)
            schema.pop("$id", None)
            (where / version / path.name).write_text(json.dumps(schema), encoding="utf-8")


def _custom(where: Path) -> None:
    for folder in ("custom", "experimental"):
        (where / folder).mkdir()
    for module, (checksum, files) in MODULES.items():
        source = _download(module, checksum)
        for file in files:
            definition = yaml.safe_load((source / file).read_text(encoding="utf-8"))["spec"]
            group = definition["group"].split(".")[0]
            for release in definition["versions"]:
                schema = _closed(release["schema"]["openAPIV3Schema"])
                name = f"{definition['names']['singular']}-{group}-{release['name']}.json"
                channel = "experimental" if "/experimental/" in file else "custom"
                (where / channel / name).write_text(json.dumps(schema), encoding="utf-8")


def _download(module: str, checksum: str) -> Path:
    command = [str(ROOT / "scripts/go"), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no schemas of custom resources: {module} can't be downloaded")
    about = json.loads(done.stdout)
    assert about["Sum"] == checksum, f"{module} is {about['Sum']}"
    return Path(about["Dir"])


def _closed(schema: Any) -> Any:
    """Return a schema that refuses unknown keys, like `kubectl apply --validate=strict`."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    open_ = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_:
        closed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed
