"""Write the SBOM of the image that this runs in: Python's and Debian's packages and the model, in CycloneDX 1.6 JSON.

The build runs it with a Python that has cyclonedx-bom: sbom.py BENTO VERSION
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

Component = dict[str, Any]


def python_packages() -> dict[str, Any]:
    """Return the whole document that cyclonedx-py writes for the image's environment."""
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment", "--spec-version", "1.6"]
    command += ["--output-reproducible", "--output-format", "JSON", "/app/.venv/bin/python"]
    document: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return document


def debian_packages() -> list[Component]:
    """Return the packages that dpkg lists as installed."""
    if shutil.which("dpkg-query") is None:
        return []
    release = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if not line.startswith("#") and line
    )
    distro = f"{release['ID']}-{release.get('VERSION_ID', '')}".replace('"', "").rstrip("-")
    listed = "${db:Status-Abbrev} ${Package} ${Version} ${Architecture}\n"
    done = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={listed}"], check=True, capture_output=True, text=True
    )
    found = []
    for line in done.stdout.splitlines():
        status, name, version, architecture = line.split()
        if status == "ii":
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={distro}"
            found.append({"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl})
    return found


def own_python() -> list[Component]:
    """Return the Python interpreter, unless it is a Debian package."""
    if not sys.base_prefix.startswith("/usr/local"):
        return []
    version = ".".join(str(number) for number in sys.version_info[:3])
    purl = f"pkg:generic/python@{version}"
    return [{"bom-ref": purl, "type": "platform", "name": "python", "version": version, "purl": purl}]


def models(bento: Path) -> list[Component]:
    """Return the models in the Bento, each with the hashes of its files."""
    found = []
    for about in sorted(bento.glob("models/*/*/model.yaml")):
        name, version = about.parent.parent.name, about.parent.name
        files = sorted(file for file in about.parent.iterdir() if file.suffix in {".onnx", ".keras"})
        parts = [
            {
                "type": "file",
                "name": file.name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
            }
            for file in files
        ]
        reference = f"{name}:{version}"
        found.append(
            {
                "bom-ref": reference,
                "type": "machine-learning-model",
                "name": name,
                "version": version,
                "components": parts,
            }
        )
    return found


def main() -> None:
    """Write the document to standard output."""
    bento, version = Path(sys.argv[1]), sys.argv[2]
    document = python_packages()
    document["components"] = [*document["components"], *debian_packages(), *own_python(), *models(bento)]
    about = yaml.safe_load((bento / "bento.yaml").read_text())
    document["metadata"]["component"] = {
        "bom-ref": "image-classifier",
        "type": "container",
        "name": "image-classifier",
        "version": version,
        "properties": [{"name": "image-classifier:bento-tag", "value": f"{about['name']}:{about['version']}"}],
    }
    json.dump(document, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
