"""Change a release, wait for its pods, and undo the change if anything ends the attempt."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

from k8s.checks.pods import Look
from k8s.cluster import Cluster, Json
from k8s.errors import Busy, K8sError, NotFound, NotUndone, Refused
from k8s.pods.waiting import Deadline, deployment, wait_for_rollout
from k8s.releases import counts, records
from k8s.releases.canary import filled
from k8s.releases.helm import Helm, objects
from k8s.releases.lock import Lock
from k8s.releases.route import Routes

logger = logging.getLogger(__name__)

COMPONENTS = ("server", "canary", "shadow")
_GOOD = ("deployed", "superseded")

Check = Callable[[str, Look], None]


def unchecked(component: str, look: Look) -> None:
    """Accept the pods as they are, because their version was checked before."""


def latest(history: list[Json]) -> int | None:
    """Return the newest revision's number."""
    return int(history[-1]["revision"]) if history else None


def good_revision(history: list[Json], trying: int | None) -> int | None:
    """Return the revision to roll back to, or None if there is none.

    Args:
        history: the revisions as helm lists them, oldest first.
        trying: the revision to which a killed attempt would have rolled back.
    """
    revisions = {int(entry["revision"]): entry["status"] for entry in history}
    if trying in revisions:
        return trying
    for wanted in _GOOD:
        found = [revision for revision, status in revisions.items() if status == wanted]
        if found:
            return max(found)
    return None


def required(helm: Helm, name: str, cluster: Cluster) -> list[Json]:
    """Return a release's history.

    Raises:
        NotFound: there is no such release.
    """
    history = helm.history(name)
    if not history:
        raise missing(name, cluster)
    return history


def missing(name: str, cluster: Cluster) -> NotFound:
    """Return the error for a release that isn't there."""
    return NotFound(f"no release {name} in namespace {cluster.namespace} (helm list --namespace {cluster.namespace})")


@contextlib.contextmanager
def changing(helm: Helm, cluster: Cluster, name: str) -> Iterator[Lock]:
    """Hold the lock of a release, and repair what a killed command left. Without the lock, helm changes nothing.

    Raises:
        Busy: another command is changing the release.
    """
    with Lock(cluster, name) as lock:
        helm.fence, helm.watch = lock.hold, lock.check
        recover(helm, cluster, name, lock)
        yield lock


def recover(helm: Helm, cluster: Cluster, name: str, lock: Lock) -> None:
    """Repair a release that a killed helm left `pending` or `uninstalling`, which helm itself refuses to change.

    Call it only while holding the lock, because a running helm leaves the same state.
    """
    history = helm.history(name)
    if not history or not history[-1]["status"].startswith(("pending", "uninstalling")):
        return
    stuck, status = int(history[-1]["revision"]), history[-1]["status"]
    good = good_revision(history, lock.trying)
    if good is None or status == "uninstalling":
        logger.info(
            "%s: revision %d was left %s and no earlier revision was deployed: removing the release",
            name,
            stuck,
            status,
        )
        helm.uninstall(name)
    else:
        logger.info("%s: revision %d was left %s: rolling back to revision %d", name, stuck, status, good)
        before = helm.values(name, good)
        counts.keep(cluster, helm, name, before, undoing=True)
        Routes(cluster, helm, name).drain(before)
        helm.rollback(name, good)
        # The rollback undoes the objects, but the record would stay `pending` in the history.
        records.delete(cluster, name, stuck)
    lock.end()


def same_names(helm: Helm, cluster: Cluster, name: str, revision: int) -> None:
    """Check that a revision's Deployment is called as the running one.

    Raises:
        K8sError: it isn't; helm would delete the running pods before those of the revision are ready.
    """
    running = deployment(cluster, name, "server")
    labels = {"app.kubernetes.io/instance": name, "app.kubernetes.io/component": "server"}
    for _, each in objects(helm.manifest(name, revision)):
        about = each["metadata"]
        ours = each["kind"] == "Deployment" and labels.items() <= about.get("labels", {}).items()
        if ours and running and _called(about) != _called(running["metadata"]):
            raise K8sError(
                f"revision {revision} of {name} calls its Deployment {about['name']}, but "
                f"{running['metadata']['name']} runs: nameOverride or fullnameOverride was changed, and helm would "
                "delete its pods before the new ones are ready; release the old image and values under the present name"
            )


def _called(about: Json) -> tuple[str, str]:
    return about["name"], about["labels"]["app.kubernetes.io/name"]


class Change:
    """One attempt to change a release: helm acts, pods roll out, checks pass or fail."""

    def __init__(self, cluster: Cluster, helm: Helm, name: str, lock: Lock, deadline: Deadline) -> None:
        self._cluster, self._helm, self._name = cluster, helm, name
        self._lock, self._deadline = lock, deadline
        before = helm.history(name)
        self._before = latest(before)
        self._own = (self._before or 0) + 1
        """The revision that helm makes."""
        self.good = good_revision(before, lock.trying)
        self._routes = Routes(cluster, helm, name)

    def upgrade(self, chart: str, values: Json, check: Check = unchecked, *, proved: bool = True) -> int:
        """Upgrade to a chart with values, and return the new revision. See `_make`."""
        return self._make(lambda: self._helm.upgrade(self._name, chart, values), values, check, proved)

    def rollback(self, target: int, *, proved: bool) -> int:
        """Restore an earlier revision, and return the new one. See `_make`."""
        values = self._helm.values(self._name, target)
        return self._make(lambda: self._helm.rollback(self._name, target), values, unchecked, proved)

    def _make(self, act: Callable[[], None], values: Json, check: Check, proved: bool) -> int:
        """Make the change and return the new revision.

        Args:
            act: runs helm.
            values: those that the new revision must have.
            check: takes a component, and what waits for its pods and returns them; raises Refused.
            proved: whether a later rollback may return to the result.

        Raises:
            Busy: another command has taken over the release, so it's left alone.
            K8sError: the change failed and is undone, as the message says.
        """
        self._lock.begin(self.good)
        try:
            counts.keep(self._cluster, self._helm, self._name, values)
            self._routes.drain(values)
            act()
            released = self._images()
            asked = "replicaCount" in values.get("canary", {})
            for component in released:
                # An autoscaled canary starts with one pod.
                least = int(values["canary"]["replicaCount"]) if component == "canary" and asked else 0
                look = partial(self._wait, component, self._deadline, least)
                look()
                check(component, look)
            self._read_back(values, released)
        except Busy:
            raise
        except K8sError as error:
            raise type(error)(f"{error}; {self._undo(error)}") from error
        except KeyboardInterrupt as error:
            logger.warning("interrupted: %s", self._undo(error))
            raise
        self._lock.end(self._own if proved else None)
        records.prune(self._cluster, self._name, self._lock.proved)
        return self._own

    def _read_back(self, values: Json, released: dict[str, list[str]]) -> None:
        """Check that what runs is what this command has released.

        Raises:
            Busy: it's another command's, or that of somebody who doesn't take the lock, such as helm itself.
            Refused: a Deployment has been given another image.
        """
        self._lock.hold()
        history = self._helm.history(self._name)
        newest = (latest(history), history[-1]["status"] if history else "")
        if newest != (self._own, "deployed") or filled(self._helm.values(self._name)) != filled(values):
            raise self._taken_over()
        self._check_images(released)

    def _images(self) -> dict[str, list[str]]:
        """Return the images of each component, as the cluster has them; an admission rule may have rewritten them."""
        found = {component: deployment(self._cluster, self._name, component) for component in COMPONENTS}
        pods = {component: each["spec"]["template"]["spec"] for component, each in found.items() if each}
        return {
            component: [container["image"] for container in pod.get("initContainers", []) + pod["containers"]]
            for component, pod in pods.items()
        }

    def _check_images(self, released: dict[str, list[str]]) -> None:
        for component, images in self._images().items():
            if images != released.get(component):
                raise Refused(
                    f"{self._name}: {component} has been given another image than the release's: {images[-1]}"
                )

    def _taken_over(self) -> Busy:
        return Busy(
            f"{self._name}: revision {self._own} isn't the newest any more: somebody else has changed the release "
            f"meanwhile, so it's left as it is ({self._helm.by_hand('history', self._name)})"
        )

    def _wait(self, component: str, deadline: Deadline, least: int = 0) -> list[Json]:
        return wait_for_rollout(self._cluster, self._name, component, deadline, self._lock.check, least)

    def _undo(self, why: BaseException) -> str:
        """Undo the change and return what was done."""
        name, good = self._name, self.good
        logger.info("%s: undoing", name)
        try:
            self._lock.hold()
            now = latest(self._helm.history(name))
            if now == self._before:
                self._routes.restore()
                done = "nothing was changed"
            elif now != self._own:
                raise self._taken_over()
            elif good is None:
                self._helm.uninstall(name)
                done = f"the new release {name} is removed"
            else:
                before = self._helm.values(name, good)
                counts.keep(self._cluster, self._helm, name, before, undoing=True)
                self._routes.drain(before)
                self._helm.rollback(name, good)
                restored = self._images()
                self._wait("server", self._deadline.for_undoing())
                self._check_images(restored)
                done = f"rolled back to revision {good}"
            self._lock.end()
        except Busy as error:
            raise Busy(f"{str(why) or 'interrupted'}; not undone: {error}") from error
        except K8sError as error:
            self._fail(why, error)
        except KeyboardInterrupt:
            self._fail(why, "interrupted again")
        return done

    def _fail(self, why: BaseException, error: object) -> NoReturn:
        back = ("rollback", self._name, str(self.good)) if self.good else ("uninstall", self._name)
        by_hand = self._helm.by_hand(*back)
        raise NotUndone(f"{str(why) or 'interrupted'}; undoing the change failed too: {error}; by hand: {by_hand}")
