"""Run the helm CLI, one method per command. Helm never waits for pods here: `waiting` does, with better errors."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from k8s.cluster import Cluster, Json
from k8s.errors import Busy, K8sError, NotFound, Refused, Unreachable, forbidden, one_line

logger = logging.getLogger(__name__)

CHART = Path(__file__).parents[2] / "helm" / "image-classifier"
"""The chart of this checkout, the default of `--chart`."""

Sets = list[tuple[str, str]]
"""Values of the command line, each with helm's flag for it: `--set`, `--set-string`, `--set-json` or `--set-file`."""

_KEEP_ALL = ("--history-max", "0")
"""Flags by which helm deletes no record. `records` deletes them, except those of proved revisions."""
_ENDING = 10
"""Seconds for helm to mark its revision as failed."""
_OWN = CHART.parents[1] / "scripts" / "helm"


def overlaid(values: Json, more: Json) -> Json:
    """Return `values` overlaid with `more`, mapping by mapping, as helm merges values files."""
    result = dict(values)
    for key, value in more.items():
        below = result.get(key)
        result[key] = overlaid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def executable() -> str:
    """Return the helm command: HELM, the one on PATH, or the one that this checkout builds once.

    Raises:
        K8sError: there is no helm.
    """
    wanted = os.environ.get("HELM", "helm")
    found = shutil.which(wanted)
    if found is None and "HELM" not in os.environ and _OWN.exists():
        built = subprocess.run(
            [_OWN, "which"], stdout=subprocess.PIPE, text=True, check=False
        )  # it reports its progress
        found = built.stdout.strip() if built.returncode == 0 else None
    if found is None:
        raise K8sError(f"{wanted}: no such command; install Helm 3 or 4, or set HELM to its path")
    return found


class Helm:
    """Runs helm against one namespace of one cluster."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._command = [executable()]
        self.fence: Callable[[], None] = lambda: None
        """Called before each change; raises if this command may no longer make it."""
        self.watch: Callable[[], None] = lambda: None
        """Called each second of a change; raises Busy if another command has taken over, which ends helm."""
        self._by_hand: list[str] = []
        self._connection: list[str] = []
        self._environment = dict(os.environ)
        if cluster is not None:
            self._by_hand = cluster.helm_flags
            self._connection += self._by_hand
            # The kubeconfig may change while the command runs. A service account has no context to override.
            if cluster.context:
                self._connection += ["--kube-apiserver", cluster.host]
                name = cluster.client.configuration.tls_server_name
                self._connection += ["--kube-tls-server-name", name] if name else []
            kept = {key: value for key, value in os.environ.items() if not key.startswith("HELM_KUBE")}
            self._environment = kept | {"KUBECONFIG": cluster.kubeconfig}

    def history(self, name: str) -> list[Json]:
        """Return the revisions, oldest first; an empty list if there is no such release."""
        try:
            history: list[Json] = json.loads(self._run("history", name, "--output", "json", "--max", "1000"))
        except NotFound:
            return []
        return history

    def values(self, name: str, revision: int | None = None) -> Json:
        """Return the values set for a revision, by default the newest, without the chart's defaults."""
        which = ["--revision", str(revision)] if revision else []
        return json.loads(self._run("get", "values", name, "--output", "json", *which)) or {}

    def manifest(self, name: str, revision: int | None = None) -> str:
        """Return the objects of a revision, by default the newest; an empty text if there is no such release."""
        which = ["--revision", str(revision)] if revision else []
        try:
            return self._run("get", "manifest", name, *which)
        except NotFound:
            return ""

    def chart(self, reference: str) -> str:
        """Return NAME-VERSION of a chart, in the form of `history`."""
        import yaml

        about = yaml.safe_load(self._run("show", "chart", reference))
        return f"{about['name']}-{about['version']}"

    def resolve(self, base: Json, files: list[str], sets: Sets) -> Json:
        """Return `base` overlaid with values files, then with `sets`, as helm reads them.

        Raises:
            K8sError: a file or one of `sets` can't be read.
        """
        given = [part for file in files for part in ("--values", file)]
        given += [part for entry in sets for part in entry]
        with _as_file(base) as file, tempfile.TemporaryDirectory() as chart:
            # An empty chart: the real one validates the values later, when the cluster is known.
            Path(chart, "Chart.yaml").write_text("{apiVersion: v2, name: values, version: 0.0.0}\n")
            options = ["--values", file, *given, "--dry-run=client", "--output", "json"]
            return json.loads(self._run("install", "values", chart, *options)).get("config") or {}

    def upgrade(
        self, name: str, chart: str, values: Json, *, dry_run: bool = False, labels: dict[str, str] | None = None
    ) -> None:
        """Install or upgrade, and return once the API server has accepted the objects. `labels` are the record's."""
        with _as_file(values) as file:
            options = ["--install", "--reset-values", "--values", file, *(["--dry-run=server"] if dry_run else [])]
            options += [f"--labels={key}={value}" for key, value in (labels or {}).items()]
            (self._run if dry_run else self._change)("upgrade", name, chart, *options, *_KEEP_ALL, *self._owning)

    def template(self, name: str, chart: str, base: Json, files: list[str], *options: str) -> str:
        """Return the rendered objects without tests and hooks. `base` overrides `files`. Needs no cluster."""
        given = [part for file in files for part in ("--values", file)]
        with _as_file(base) as file:
            return self._run("template", name, chart, "--no-hooks", *given, "--values", file, *options)

    def rollback(self, name: str, revision: int) -> None:
        """Restore the objects of an earlier revision, as a new revision."""
        self._change("rollback", name, str(revision), *_KEEP_ALL, *self._owning)

    def uninstall(self, name: str) -> None:
        """Delete the release if it exists."""
        self._change("uninstall", name, "--ignore-not-found")

    @cached_property
    def applies(self) -> bool:
        """Whether helm sends objects by server-side apply, as Helm 4 does."""
        return not self._run("version", "--template", "{{.Version}}").startswith("v3.")

    @cached_property
    def _owning(self) -> list[str]:
        """The flags by which a release takes back a field that somebody else has set, such as `kubectl scale`.

        Helm 3 always does. Helm 4 does so for releases of Helm 3 too, whose objects it would otherwise go on patching.
        """
        return ["--server-side=true", "--force-conflicts"] if self.applies else []

    def by_hand(self, *arguments: str) -> str:
        """Return a command for a person to type, which acts on the same cluster and namespace."""
        return shlex.join(["helm", *arguments, *self._by_hand])

    def _change(self, *arguments: str) -> None:
        self.fence()
        self._run(*arguments, watch=self.watch)

    def _run(self, *arguments: str, watch: Callable[[], None] = lambda: None) -> str:
        command = [*self._command, *arguments, *self._connection]
        logger.debug("%s", " ".join(command))
        # A session of its own, so that the terminal's Ctrl-C doesn't stop helm between two objects.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=self._environment,
        )
        try:
            out, err = _outputs(process, watch)
        except Busy as error:
            process.terminate()
            try:
                process.communicate(timeout=_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            left = "a revision that it left pending is repaired by the other command, or by `abort` later"
            raise Busy(f"{error}; helm was stopped midway; {left}") from error
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


def _outputs(process: subprocess.Popen[str], watch: Callable[[], None]) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            watch()


@contextlib.contextmanager
def _as_file(values: Json) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        yield file.name


def objects(manifest: str) -> list[tuple[str, Json]]:
    """Return each object of a manifest of helm's, with the template that it comes from."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 15 times as fast, where libyaml is built in
    found = []
    for part in re.split(r"^---\s*$", manifest, flags=re.M):
        source = re.search(r"^# Source: (.*)$", part, re.M)
        each = yaml.load(part, loader)
        if isinstance(each, dict):
            found.append((source[1] if source else "", each))
    return found


def explain(stderr: str) -> K8sError:
    """Return the error for what helm wrote to standard error, in one line."""
    message = stderr[stderr.find("Error: ") + len("Error: ") :] if "Error: " in stderr else stderr
    missing = forbidden(message)
    if missing is not None:
        return missing
    # Users needn't know which helm command ran.
    text = re.sub(r"^(INSTALLATION|UPGRADE) FAILED: ", "", one_line(message))
    # Helm 4 writes paths as /image/tag and the root as an empty path; Helm 3 writes image.tag and (root).
    schema = re.findall(r"- at '([^']*)': (.*)", message)
    schema = schema or re.findall(r"^- (?:\(root\)|([\w.]+)): (.*)", message, re.M)
    if schema:
        wrong = [f"{path.strip('/').replace('/', '.') or 'values'}: {what}" for path, what in schema]
        return K8sError(f"chart values: {'; '.join(wrong)}")
    if "release: not found" in text or "has no deployed releases" in text:
        return NotFound(text)
    if "Kubernetes cluster unreachable" in text or "connection refused" in text:
        return Unreachable(text)
    if "another operation (install/upgrade/rollback) is in progress" in text:
        return Refused("helm: another install, upgrade or rollback of this release is in progress")
    return K8sError(f"helm: {text}")
