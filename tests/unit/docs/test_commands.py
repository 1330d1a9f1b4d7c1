"""Every command that a page shows is valid for its program. Bash alone parses those of cloud providers."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import pytest

from bento import recommend
from cluster.__main__ import PROGRAM as CLUSTER
from k8s.cli import PROGRAM as K8S
from tests.chart.conftest import CHART, ROOT, run_helm
from training.cli import PROGRAM as TRAINING

PAGES = [ROOT / "README.md", CHART / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?:console|sh|bash)\n(.*?)^```", re.M | re.S)
PROGRAMS = ("python", "helm", "kubectl", "make", "podman", "docker", "skopeo", "bentoml", "locust")
INDENTED = re.compile(rf"^    ((?:{'|'.join(PROGRAMS)}) .+)", re.M)
UNTRIED = ("aws", "az", "gcloud", "kind", "minikube")
INSTALLING = {"--install", "--reset-then-reuse-values", "--wait", "--atomic", "--dry-run"}
"""Flags of helm install and upgrade that `helm template` lacks, or that make no difference to what is rendered."""

PARSERS: dict[str, Callable[[list[str]], object]] = {
    "training": TRAINING.parse,
    "cluster": CLUSTER.parse,
    "bento.recommend": recommend._arguments,
}


def commands() -> list[str]:
    """Return the commands of all blocks, fenced and indented, and those that tell an incident's causes apart."""
    found: list[str] = []
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.findall(text):
            found += re.findall(r"^\$ (.+)", block.replace("\\\n", " "), re.M)
        found += [line for line in INDENTED.findall(text.replace("\\\n", " ")) if not re.search(r"VERB|\[\w+", line)]
        if page.name == "operating.md":
            found += re.findall(r"\| `((?:python|helm|kubectl) [^`]+)` \|", text)
    return list(dict.fromkeys(found))


def words(command: str, program: str) -> list[str]:
    """Return the arguments of the part of a pipeline that runs `program`."""
    parts = [shlex.split(part) for part in command.removeprefix('eval "$(').removesuffix(')"').split(" | ")]
    return next((part[1:] for part in parts if part[0] == program), [])


def of(program: str) -> list[str]:
    """Return the commands that run `program`."""
    return [command for command in commands() if words(command, program)]


@cache
def help_of(*command: str) -> str:
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout + done.stderr


def flags(arguments: list[str]) -> set[str]:
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("--") and argument != "--"}


def unknown_flags(arguments: list[str], text: str) -> set[str]:
    return {flag for flag in flags(arguments) if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)}


@pytest.mark.parametrize("command", commands())
def test_bash_can_read_it(command: str) -> None:
    done = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first = command.removeprefix('eval "$(').split()[0]
    assert first in {*PROGRAMS, *UNTRIED, "curl", "source", "export", "sha256sum"}


@pytest.mark.parametrize("command", of("python"))
def test_the_module_takes_its_options(command: str) -> None:
    assert words(command, "python")[0] == "-m"
    module, *arguments = words(re.sub(r"[\[\]]", "", command), "python")[1:]
    if module == "k8s":
        verb, args = K8S.parse(arguments)
        if verb.rest:
            TRAINING.parse([verb.name, *args.rest])
    elif module in PARSERS:
        PARSERS[module](arguments)
    elif arguments:
        assert not unknown_flags(arguments, help_of(sys.executable, "-m", module))


@pytest.mark.parametrize("command", of("helm"))
def test_helm_takes_it_and_the_chart_its_values(command: str) -> None:
    verb, *arguments = words(command, "helm")
    text = run_helm(verb, "--help")
    assert not unknown_flags(arguments, text)
    if verb in ("install", "upgrade", "template") and "helm/image-classifier" in arguments:
        kept = [argument for argument in arguments if argument not in INSTALLING]
        kept = [argument.replace("$REGISTRY", "registry.example.com") for argument in kept]  # as the shell would
        rendered = run_helm(
            "template", *kept, "--api-versions", "monitoring.coreos.com/v1,gateway.networking.k8s.io/v1"
        )
        assert "kind: Deployment" in rendered


def test_locust_takes_its_options() -> None:
    if find_spec("locust") is None:  # importing it would patch sockets for every test
        pytest.skip("locust is not installed")
    # Its help leaves out what a locustfile adds.
    ours = "".join(file.read_text() for file in (ROOT / "loadtests").glob("*.py"))
    text = help_of(sys.executable, "-m", "locust") + " ".join(re.findall(r'"(--[a-z-]+)"', ours))
    assert of("locust")
    for command in of("locust"):
        assert not unknown_flags(words(command, "locust"), text), command


@pytest.mark.parametrize("program", ["kubectl", "podman", "skopeo"])
def test_the_program_takes_its_options(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    everywhere = ""
    if program == "kubectl":
        everywhere = subprocess.run([program, "options"], capture_output=True, text=True, check=True).stdout
    assert of(program)
    for command in of(program):
        verb, *arguments = words(command, program)
        nested = (
            arguments[: 1 + (arguments[0] == "secret")]
            if program == "kubectl" and verb in ("rollout", "create")
            else []
        )
        if program == "podman" and verb == "run":
            arguments = arguments[: next(i for i, word in enumerate(arguments) if "image-classifier" in word)]
        assert not unknown_flags(arguments, help_of(program, verb, *nested) + everywhere), command
