"""The helm CLI: one method a command that we use. It never waits for pods; `waiting` does, and sees more."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8s.cluster import Cluster, Json
from k8s.errors import K8sError, NotFound, Refused, Unreachable, forbidden, one_line

logger = logging.getLogger(__name__)

CHART = Path(__file__).parents[1] / "helm" / "image-classifier"
"""The one in this checkout, where `--chart` names no other."""


@dataclass(frozen=True)
class Values:
    """What a chart is rendered with. Later ones win: `base`, files, `sets`, then `ours`."""

    base: Json = field(default_factory=dict)
    files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    """As of helm's own --set."""
    ours: dict[str, Any] = field(default_factory=dict)
    """Path to string, number or bool."""

    def with_ours(self, more: dict[str, Any]) -> Values:
        """Return a copy in which `more` wins."""
        return Values(self.base, self.files, self.sets, self.ours | more)


def executable() -> str:
    """Return the helm command, from HELM or PATH."""
    wanted = os.environ.get("HELM", "helm")
    found = shutil.which(wanted)
    if found is None:
        raise K8sError(f"{wanted}: no such command; install Helm 3 or 4, or set HELM to its path")
    return found


class Helm:
    """Runs helm against one namespace of one cluster."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._command = [executable()]
        self._connection: list[str] = []
        if cluster is not None:
            self._connection += ["--namespace", cluster.namespace]
            self._connection += ["--kubeconfig", cluster.kubeconfig] if cluster.kubeconfig else []
            self._connection += ["--kube-context", cluster.context] if cluster.context else []

    def history(self, name: str) -> list[Json]:
        """Return the revisions, oldest first; none where there is no such release."""
        try:
            history: list[Json] = json.loads(self._run("history", name, "--output", "json", "--max", "1000"))
        except NotFound:
            return []
        return history

    def values(self, name: str) -> Json:
        """Return what the release's makers set, without the chart's defaults."""
        return json.loads(self._run("get", "values", name, "--output", "json")) or {}

    def chart(self, reference: str) -> str:
        """Return NAME-VERSION of a chart, as `history` shows it."""
        import yaml

        about = yaml.safe_load(self._run("show", "chart", reference))
        return f"{about['name']}-{about['version']}"

    def upgrade(self, name: str, chart: str, values: Values, *, dry_run: bool = False) -> None:
        """Install or upgrade; returns once the API server has taken the objects."""
        options = ["--install", "--reset-values", *(["--dry-run=server"] if dry_run else [])]
        with _arguments(values) as given:
            self._run("upgrade", name, chart, *options, *given)

    def template(self, name: str, chart: str, values: Values, *options: str) -> str:
        """Return the rendered objects, without tests and hooks."""
        with _arguments(values) as given:
            return self._run("template", name, chart, "--no-hooks", *options, *given)

    def rollback(self, name: str, revision: int) -> None:
        """Make the objects those of an earlier revision, as a new revision."""
        self._run("rollback", name, str(revision))

    def uninstall(self, name: str) -> None:
        """Delete the release, if it is there."""
        self._run("uninstall", name, "--ignore-not-found")

    def _run(self, *arguments: str) -> str:
        command = [*self._command, *arguments, *self._connection]
        logger.debug("%s", " ".join(command))
        # In a session of its own: the terminal's Ctrl-C must not cut helm off between two objects.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            out, err = process.communicate()
        except KeyboardInterrupt:
            try:
                process.communicate(timeout=30)
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                process.terminate()  # helm then marks the revision as failed
                process.communicate()
            raise
        if process.returncode:
            raise explain(err)
        return out


class _arguments:  # noqa: N801 - a context manager that reads as a function
    """Values as flags, with the mapping in a file that is gone afterwards."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __enter__(self) -> list[str]:
        values = self._values
        self._file = tempfile.NamedTemporaryFile("w", suffix=".json")  # noqa: SIM115 - closed by __exit__
        json.dump(values.base, self._file)
        self._file.flush()
        given = ["--values", self._file.name]
        for file in values.files:
            given += ["--values", file]
        for entry in values.sets:
            given += ["--set", entry]
        for path, value in values.ours.items():
            # helm reads `1.10` and `true` as they look; a tag must stay a string.
            given += ["--set-string", f"{path}={_escaped(value)}"] if isinstance(value, str) else []
            given += [] if isinstance(value, str) else ["--set", f"{path}={json.dumps(value)}"]
        return given

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,")


def explain(stderr: str) -> K8sError:
    """Return the error that helm's complaint stands for, in one line."""
    complaint = stderr[stderr.find("Error: ") + len("Error: ") :] if "Error: " in stderr else stderr
    missing = forbidden(complaint)
    if missing is not None:
        return missing
    text = one_line(complaint)
    schema = re.findall(r"- at '([^']*)': (.*)", complaint) or re.findall(r"^- ([\w.]+): (.*)", complaint, re.M)
    if schema:
        # Helm 4 writes /image/tag, Helm 3 image.tag.
        return K8sError(
            "chart values: " + "; ".join(f"{path.strip('/').replace('/', '.')}: {what}" for path, what in schema)
        )
    if "release: not found" in text or "has no deployed releases" in text:
        return NotFound(text)
    if "Kubernetes cluster unreachable" in text or "connection refused" in text:
        return Unreachable(text.removeprefix("UPGRADE FAILED: "))
    if "another operation (install/upgrade/rollback) is in progress" in text:
        return Refused("helm: another install, upgrade or rollback of this release is under way")
    return K8sError(f"helm: {text}")
