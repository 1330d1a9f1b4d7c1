"""docs/kubernetes.md names every verb, exit code and Role."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from commandline import ExitCode
from k8s import errors
from k8s.cli import PROGRAM, VERBS

DOCS = Path("docs/kubernetes.md").read_text()


def test_every_verb_is_described() -> None:
    assert set(re.findall(r"^\| `(\w+)[ `]", DOCS, re.M)) == set(VERBS)
    assert all(f"\n  {verb} " in PROGRAM.help() for verb in VERBS)


def test_every_exit_code_is_described() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCS, re.M)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.K8sError)]
    assert documented == set(PROGRAM.exit_codes)
    assert documented - {ExitCode.DONE, ExitCode.USAGE, ExitCode.INTERRUPTED} == {kind.exit_code for kind in kinds}


def test_every_role_is_described() -> None:
    roles = {role["metadata"]["name"] for role in yaml.safe_load_all(Path("k8s/rbac.yaml").read_text())}
    assert set(re.findall(r"^\| `(image-classifier-\w+)`", DOCS, re.M)) == roles
