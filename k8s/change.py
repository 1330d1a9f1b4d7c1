"""Change a release, wait for its pods, and undo the change if anything ends the attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

from k8s.cluster import Cluster, Json
from k8s.errors import K8sError, NotFound, NotUndone
from k8s.helm import Helm
from k8s.lock import Lock
from k8s.waiting import Deadline, deployment, wait_for_rollout

logger = logging.getLogger(__name__)

COMPONENTS = ("server", "canary", "shadow")
_GOOD = ("deployed", "superseded")


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
        raise NotFound(
            f"no release {name} in namespace {cluster.namespace} (helm list --namespace {cluster.namespace})"
        )
    return history


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
        helm.rollback(name, good)
        # The rollback undoes the objects, but the record would stay `pending` in the history.
        delete = cluster.core.delete_namespaced_secret
        cluster.ask(delete, f"sh.helm.release.v1.{name}.v{stuck}", cluster.namespace)
    lock.end()


class Change:
    """One attempt to change a release: helm acts, pods roll out, checks pass or fail."""

    def __init__(self, cluster: Cluster, helm: Helm, name: str, lock: Lock, deadline: Deadline) -> None:
        self._cluster, self._helm, self._name = cluster, helm, name
        self._lock, self._deadline = lock, deadline
        self._before = helm.history(name)
        self.good = good_revision(self._before, lock.trying)

    def make(self, act: Callable[[], None], check: Callable[[str, list[Json]], None], *, proved: bool = True) -> int:
        """Make the change and return the new revision.

        Args:
            act: runs helm.
            check: takes a component and its ready pods; raises Refused.
            proved: whether a later rollback may return to the result.

        Raises:
            K8sError: the change failed and is undone, as the message says.
        """
        self._lock.begin(self.good)
        try:
            act()
            for component in COMPONENTS:
                if deployment(self._cluster, self._name, component):
                    check(component, self._wait(component, self._deadline))
        except K8sError as error:
            raise type(error)(f"{error}; {self._undo(error)}") from error
        except KeyboardInterrupt as error:
            logger.warning("interrupted: %s", self._undo(error))
            raise
        revision = latest(self._helm.history(self._name)) or 0
        self._lock.end(revision if proved else None)
        return revision

    def _wait(self, component: str, deadline: Deadline) -> list[Json]:
        return wait_for_rollout(self._cluster, self._name, component, deadline, self._lock.check)

    def _undo(self, why: BaseException) -> str:
        """Undo the change and return what was done."""
        name, good = self._name, self.good
        logger.info("%s: undoing", name)
        try:
            if latest(self._helm.history(name)) == latest(self._before):
                done = "nothing was changed"
            elif good is None:
                self._helm.uninstall(name)
                done = f"the new release {name} is removed"
            else:
                self._helm.rollback(name, good)
                self._wait("server", self._deadline.for_undoing())
                done = f"rolled back to revision {good}"
            self._lock.end()
        except K8sError as error:
            self._fail(why, error)
        except KeyboardInterrupt:
            self._fail(why, "interrupted again")
        return done

    def _fail(self, why: BaseException, error: object) -> NoReturn:
        back = f"helm rollback {self._name} {self.good}" if self.good else f"helm uninstall {self._name}"
        raise NotUndone(f"{str(why) or 'interrupted'}; undoing the change failed too: {error}; by hand: {back}")
