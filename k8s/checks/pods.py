"""Check pods before users reach them: the golden set on each pod, and service levels under load."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from k8s.checks import golden
from k8s.checks import load as loading
from k8s.cluster import Cluster, Json
from k8s.errors import K8sError, Refused
from k8s.pods.forward import Forward, management_port
from k8s.pods.service import Service
from k8s.pods.waiting import Deadline
from model_format.golden import GoldenImage

logger = logging.getLogger(__name__)

Look = Callable[[], list[Json]]


@dataclass
class Checks:
    """The checks of one command. `passed` collects one line of figures for each passed check."""

    cluster: Cluster
    golden_folder: Path | None
    """Folder of the golden set; None for the set of the model that the pods serve."""
    with_golden: bool
    load: loading.Load
    deadline: Deadline
    images: Path | None = None
    passed: list[str] = field(default_factory=list)
    _examples: list[GoldenImage] = field(default_factory=list)
    """The golden set that was sent last."""
    _runtime: str = ""
    """The form of the model in the pod that was asked last. A gateway doesn't tell it."""

    def answers(self, look: Look) -> None:
        """Send the golden set to each pod. A pod that goes meanwhile, scaled down or drained, proves nothing.

        Args:
            look: waits until all pods are ready, and returns them.

        Raises:
            Refused: a pod's answers differ, or there is no pod and none was asked before.
        """
        if not self.with_golden:
            return
        asked, pods = set[str](), look()
        if not pods and not self._examples:
            raise Refused("no pod runs (replicas: 0), so nothing was checked; start one, or pass --golden none")
        if not pods:
            logger.warning("no pod runs, so only the candidate was checked")
        while pending := [pod for pod in pods if pod["metadata"]["uid"] not in asked]:
            for pod in pending:
                asked.add(pod["metadata"]["uid"])
                try:
                    self._ask(pod, first=len(asked) == 1)
                except K8sError as error:
                    if not _gone(pod, look()):
                        raise
                    logger.info("pod %s is gone (%s); looking again", pod["metadata"]["name"], error)
            pods = look()

    def _ask(self, pod: Json, *, first: bool) -> None:
        name = pod["metadata"]["name"]
        with (
            Forward(self.cluster, [name]) as forward,
            Forward(self.cluster, [name], management_port(pod)) as management,
            Service(forward.url, self.deadline) as service,
            Service(management.url, self.deadline) as monitored,
        ):
            try:
                about = monitored.version()
                self._runtime = about["runtime"]
                if first or not self._examples:
                    self._examples = self._find(name, about["model"])
                line = golden.check(service, self._examples, self._runtime)
            except Refused as error:
                failed = forward.error or management.error
                if failed:
                    raise failed from error
                raise Refused(f"pod {name}: {error}") from error
        self._pass(f"{name}: {line}")

    def levels(self, look: Look) -> None:
        """Load pods that users can't reach, and compare the result with the service levels.

        Args:
            look: waits until all pods are ready, and returns them.

        Raises:
            Refused: a service level isn't kept.
        """
        if not self.load.slo:
            return
        while True:
            pods = look()
            if self.deadline.left < self.load.seconds:
                raise Refused(
                    f"load: --timeout leaves {self.deadline.left:.0f} s, but the load takes {self.load.seconds:g} s"
                )
            logger.info("load: %g requests/s for %g s", self.load.rate, self.load.seconds)
            try:
                with Forward(self.cluster, [pod["metadata"]["name"] for pod in pods]) as forward:
                    self._pass(f"service levels: {loading.run(forward.url, self.load, self.deadline, self.images)}")
                return
            except Refused as error:
                now = look()
                if not any(_gone(pod, now) for pod in pods):
                    raise
                logger.info("a pod went under the load (%s); loading again", error)

    def door(self, url: str) -> None:
        """Send the golden set that the pods have answered to a gateway, as users would.

        Raises:
            Refused: the gateway's answers differ.
        """
        with Service(url, self.deadline) as service:
            try:
                line = golden.check(service, self._examples, self._runtime)
            except Refused as error:
                raise Refused(f"{url}: {error}") from error
        self._pass(f"{url}: {line}")

    def _find(self, pod: str, tag: str) -> list[GoldenImage]:
        if self.golden_folder is not None:
            return golden.load(self.golden_folder)
        return golden.find(self.cluster, pod, tag)

    def _pass(self, line: str) -> None:
        logger.info("%s", line)
        self.passed.append(line)


def _gone(pod: Json, pods: list[Json]) -> bool:
    """Return whether a pod isn't among those that are ready now, which its own failure alone can't bring about."""
    return pod["metadata"]["uid"] not in {other["metadata"]["uid"] for other in pods}
