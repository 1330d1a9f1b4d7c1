"""The image contains what serving needs and nothing else, and its labels and SBOM are true."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.containers.conftest import ENGINE, NAME, Container, Image, engine

SBOM = "/usr/share/image-classifier/sbom.cdx.json"


def inside(image: Image, script: str) -> Any:
    """Run a Python script in the image, and return the JSON that it prints."""
    done = image.run("python", "-c", script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_image_is_small_on_disk_and_compressed(image: Image) -> None:
    assert image.report["size"] <= 430e6
    assert image.report["compressed"] <= 160e6
    assert len(image.report["parts"]) == 10
    for part in image.report["parts"]:
        assert part in image.output


def test_the_report_shows_the_cold_start_by_phase(image: Image) -> None:
    phases = image.report["cold_start"]
    assert list(phases) == ["container", "process", "imports", "server", "model", "warm_up", "total"]
    assert phases["total"] == pytest.approx(sum(phases.values()) - phases["total"], abs=0.1)
    assert 0 < phases["total"] < 5 * 2.5
    assert all(f"\n  {phase} " in image.output for phase in phases)


@pytest.mark.core
def test_the_image_contains_nothing_that_builds_or_trains(image: Image) -> None:
    commands = "gcc cc g++ c++ clang make ld pip pip3 uv apt apt-get git curl wget gpg"
    found = image.run("sh", "-c", f"for name in {commands}; do command -v $name; done; true").stdout
    assert found == ""
    modules = ["tensorflow", "keras", "pip", "setuptools", "ensurepip", "pytest", "training", "tests"]
    script = f"import importlib.util as u, json; print(json.dumps([m for m in {modules!r} if u.find_spec(m)]))"
    assert inside(image, script) == []


def test_the_user_of_the_image_can_change_no_file_of_the_program(image: Image) -> None:
    def found(what: str) -> set[str]:
        # find reports errors for folders that the user can't read; the user can't change anything in them either.
        find = f"find / -xdev {what} -not -path '/proc/*' -not -path '/dev/*' -not -path '/sys/*' 2>/dev/null; true"
        return set(engine("run", "--rm", "--entrypoint=sh", image.name, "-c", find).stdout.split())

    writable = found("-writable -not -type l")
    assert "/bentoml" in writable
    own = ("/bentoml", "/home/bentoml", "/tmp", "/var/tmp", "/run", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
    assert {path for path in writable if not path.startswith(own)} == set()
    assert not any(path.startswith("/home/bentoml/") for path in writable)
    assert found("-perm /6000 -type f") == set()


def test_the_labels_are_true(image: Image, server: Container) -> None:
    labels = json.loads(engine("image", "inspect", image.name).stdout)[0]["Config"]["Labels"]
    served = server.get("/version").json()
    assert labels["image-classifier/model-tag"] == image.model == served["model"]
    assert labels["image-classifier/model-digest"] == served["digest"]
    assert labels["image-classifier/bento-tag"].rpartition(":")[2] == image.name.rpartition(":")[2]
    assert labels["org.opencontainers.image.version"] == served["versions"]["image-classifier"]
    revision = labels["org.opencontainers.image.revision"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    assert revision.removesuffix("-dirty") == (head or "unknown")


def test_the_image_is_named_by_its_version_and_by_its_bento(image: Image) -> None:
    version, bento = image.report["names"]
    assert version == f"{NAME}:{image.report['labels']['org.opencontainers.image.version']}"
    assert image.report["labels"]["image-classifier/bento-tag"] == f"image_classifier:{bento.removeprefix(NAME + ':')}"


def test_the_entrypoint_has_no_shell_and_the_user_is_not_root(image: Image) -> None:
    config = json.loads(engine("image", "inspect", image.name).stdout)[0]["Config"]
    assert config["Entrypoint"] == ["python", "-m", "bento.serve"]
    assert config["User"] == "1034:1034"


def test_the_sbom_lists_every_package_and_the_model(image: Image) -> None:
    document = json.loads(image.run("cat", SBOM).stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    listed: dict[str, set[tuple[str, str]]] = {"pypi": set(), "deb": set(), "generic": set()}
    for component in document["components"]:
        kind = re.match(r"pkg:(\w+)/", component.get("purl", ""))
        if kind is not None:
            name = component["name"].lower().replace("_", "-").replace(".", "-")
            listed[kind[1]].add((name, component["version"]))

    script = (
        "import importlib.metadata as m, json; "
        "print(json.dumps([[d.metadata['Name'].lower().replace('_', '-').replace('.', '-'), d.version] "
        "for d in m.distributions()]))"
    )
    assert listed["pypi"] == {(name, version) for name, version in inside(image, script)}
    assert "onnxruntime" in dict(listed["pypi"])
    query = "dpkg-query --show --showformat='${db:Status-Abbrev}|${Package}|${Version}\\n' | grep ^ii"
    lines = image.run("sh", "-c", query).stdout.splitlines()
    packages = {(line.split("|")[1].replace(".", "-"), line.split("|")[2]) for line in lines}
    assert listed["deb"] == packages
    assert "libc6" in dict(packages)

    (model,) = [item for item in document["components"] if item["type"] == "machine-learning-model"]
    assert f"{model['name']}:{model['version']}" == image.model
    digests = {part["name"]: part["hashes"][0]["content"] for part in model["components"]}
    assert digests["model-int8.onnx"] == image.report["labels"]["image-classifier/model-digest"]


def secrets() -> Iterator[bytes]:
    """Yield what only this machine should know: its name, paths, mirrors and passwords."""
    public = re.compile(r"^(.*\.)?(debian\.org|pypi\.org|pythonhosted\.org|docker\.io|localhost|127\.0\.0\.1)$")
    # A short host name may be an ordinary word.
    if len(socket.gethostname()) > 11 and not public.match(socket.gethostname()):
        yield socket.gethostname().encode()
    if len(Path.cwd().parts) > 2:
        yield str(Path.cwd()).encode()
    configured = [*Path("/etc/apt").rglob("*.sources"), *Path("/etc/apt").rglob("*.list"), Path("/etc/pip.conf")]
    configured += [Path.home() / ".config/pip/pip.conf", Path.home() / ".config/uv/uv.toml"]
    texts = [file.read_text(errors="replace") for file in configured if file.is_file()]
    texts += [
        value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) or "PROXY" in name.upper()
    ]
    for host in {urlsplit(url).hostname for text in texts for url in re.findall(r"https?://[^\s\"']+", text)}:
        if host and "." in host and not host.replace(".", "").isdigit() and not public.match(host):
            yield host.encode()
    for name, value in os.environ.items():
        if re.search("TOKEN|SECRET|PASSWORD|CREDENTIAL", name.upper()) and len(value) >= 12 and "/" not in value:
            yield value.encode()


def test_the_image_has_no_trace_of_the_machine_that_built_it(image: Image, tmp_path: Path) -> None:
    sought = set(secrets())
    about = engine("image", "inspect", image.name).stdout + engine("history", "--no-trunc", image.name).stdout
    assert not [word for word in sought if word in about.encode()]
    id_ = engine("create", image.name).stdout.strip()
    try:
        with subprocess.Popen([ENGINE, "export", id_], stdout=subprocess.PIPE) as exported:
            assert exported.stdout is not None
            with tarfile.open(fileobj=exported.stdout, mode="r|") as tar:
                found, seen = [], set()
                for member in tar:
                    seen.add(f"/{member.name}")
                    # For a link, tarfile would read the whole stream in search of its target.
                    source = tar.extractfile(member) if member.isreg() else None
                    content = source.read() if source is not None else b""
                    found += [(member.name, word) for word in sought if word in content]
    finally:
        engine("rm", "--force", id_)
    # The engine writes these three files itself when it creates a container.
    assert [hit for hit in found if hit[0] not in ("etc/hosts", "etc/hostname", "etc/resolv.conf")] == []
    assert SBOM in seen
    unwanted = re.compile(r"^/(etc/apt/.*\.(list|sources)|root/\..*|etc/pip\.conf|var/lib/apt/lists/.+|tmp/.+)$")
    assert [path for path in seen if unwanted.match(path)] == []
