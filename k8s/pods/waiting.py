"""Wait for pods within one deadline. `rollout` decides whether they are done or stuck."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator

from k8s.cluster import Cluster, Json
from k8s.errors import Forbidden, K8sError, NoRoom, Refused, one_line
from k8s.pods.rollout import Trouble, is_ready, rollout_state, unready

logger = logging.getLogger(__name__)

_FIRST_PAUSES = (0.1, 0.2)
_PAUSE = 0.5
_MOST_FOR_UNDOING = 30
_GRACE = 5
_NODE = 60
"""Seconds for the scheduler to find room, which ending pods free."""
_NODE_COMES = ("TriggeredScaleUp", "Nominated")
"""Reasons of a pod's events by which the Cluster Autoscaler and Karpenter say that a new node will have room for it."""


class Deadline:
    """The time limit of a whole command.

    Args:
        seconds: time from now.
        node: seconds for which a pod may wait for a node with room, unless an autoscaler is adding one.
        undoing: whether to keep the last quarter, at most 30 seconds, for undoing the change.
    """

    def __init__(self, seconds: float, node: float = _NODE, *, undoing: bool = True) -> None:
        self.seconds, self.node = seconds, node
        self._end = time.monotonic() + seconds
        self._kept = min(seconds / 4, _MOST_FOR_UNDOING) if undoing else 0.0

    @property
    def left(self) -> float:
        """Seconds left; negative once the time is up."""
        return self._end - self._kept - time.monotonic()

    def for_undoing(self) -> Deadline:
        """Return the limit for undoing the change: the same end, plus a few seconds of grace."""
        return Deadline(self._end + _GRACE - time.monotonic(), self.node, undoing=False)


def pauses() -> Iterator[float]:
    """Yield the seconds between two polls: short ones first, so that quick changes are seen quickly."""
    return itertools.chain(_FIRST_PAUSES, itertools.repeat(_PAUSE))


def selector(release: str, component: str) -> str:
    """Return the label selector of a component, as the chart labels it."""
    return f"app.kubernetes.io/instance={release},app.kubernetes.io/component={component}"


def deployment(cluster: Cluster, release: str, component: str) -> Json | None:
    """Return the component's Deployment, or None."""
    found = cluster.items(cluster.apps.list_namespaced_deployment, selector(release, component))
    return found[0] if found else None


def newest_pods(cluster: Cluster, found: Json, release: str, component: str) -> list[Json]:
    """Return the pods of a Deployment's newest revision."""
    revision = "deployment.kubernetes.io/revision"
    wanted = found["metadata"].get("annotations", {}).get(revision)
    sets = cluster.items(cluster.apps.list_namespaced_replica_set, selector(release, component))
    newest = [entry for entry in sets if entry["metadata"].get("annotations", {}).get(revision) == wanted]
    if not newest:
        return []
    template = newest[0]["metadata"]["labels"]["pod-template-hash"]
    labels = f"{selector(release, component)},pod-template-hash={template}"
    return cluster.items(cluster.core.list_namespaced_pod, labels)


def wait_for_rollout(
    cluster: Cluster, release: str, component: str, deadline: Deadline, check: Callable[[], None], least: int = 0
) -> list[Json]:
    """Wait until all pods of the newest revision are ready, and return them.

    Args:
        check: called in each round; raises to end the wait.
        least: pods to wait for, even if the Deployment still asks for fewer.

    Raises:
        Refused: the rollout is stuck, or the time is up. The message says why, with figures.
    """
    began, said, troubled, pause = time.monotonic(), "", dict[str, float](), pauses()
    coming = set[str]()
    while True:
        check()
        found = deployment(cluster, release, component)
        if found is None:
            raise K8sError(f"{release} has no {component} Deployment; is it a release of this chart?")
        pods = newest_pods(cluster, found, release, component)
        state = rollout_state(found, pods, least)
        if state.progress != said:
            logger.info("%s: %s: %s", release, component, state.progress)
            said = state.progress
        if state.done:
            return [pod for pod in pods if is_ready(pod)]
        now = time.monotonic()
        if state.trouble is None:
            troubled.clear()
        else:
            lasted, trouble = now - troubled.setdefault(state.trouble.cause, now), state.trouble
            over = lasted >= (deadline.node if trouble.patience is None else trouble.patience)
            if over and trouble.patience is None and trouble.pod not in coming and node_comes(cluster, trouble.pod):
                coming.add(trouble.pod)
                logger.info("%s: %s: waiting for the node that the autoscaler adds", release, component)
            if over and trouble.pod not in coming:
                kind = NoRoom if trouble.no_room else Refused
                raise kind(
                    f"{release}: {state.progress}: {trouble}{_hint(trouble, lasted)}{last_words(cluster, trouble)}"
                )
        if deadline.left <= 0:
            after = f"not done after {now - began:.0f} s, the limit set by --timeout"
            kind = NoRoom if state.trouble and state.trouble.no_room else Refused
            raise kind(f"{release}: {after}: {state.progress}: {state.trouble or unready(pods)}")
        time.sleep(next(pause))


def node_comes(cluster: Cluster, pod: str) -> bool:
    """Return whether an autoscaler has said that a new node will have room for a pod."""
    about = f"involvedObject.kind=Pod,involvedObject.name={pod}"
    try:
        events = cluster.ask(cluster.core.list_namespaced_event, cluster.namespace, field_selector=about)["items"]
    except Forbidden as error:
        logger.debug("no events of %s: %s", pod, error)
        return False
    return any(event.get("reason") in _NODE_COMES for event in events)


def _hint(trouble: Trouble, lasted: float) -> str:
    return f"; after {lasted:.0f} s, see --node-timeout" if trouble.patience is None else ""


def last_words(cluster: Cluster, trouble: Trouble) -> str:
    """Return the last log line of a crashing container, for a message; empty if it can't be read."""
    if not trouble.container:
        return ""
    lines = ""
    for previous in (True, False):
        try:
            read = cluster.core.read_namespaced_pod_log
            options = {"container": trouble.container, "tail_lines": 5, "previous": previous}
            lines = cluster.text(read, trouble.pod, cluster.namespace, **options).strip()
            lines = "" if lines.startswith("unable to retrieve container logs") else lines
        except K8sError as error:
            logger.debug("no log of %s: %s", trouble.pod, error)
        if lines:
            return f"; its last line: {one_line(lines.splitlines()[-1])[:300]}"
    return ""


def wait_until_gone(cluster: Cluster, release: str, deadline: Deadline) -> None:
    """Wait until no pod of a release is left, because ending pods take the room that others need."""
    pause, began, said = pauses(), time.monotonic(), False
    while deadline.left > 0:
        left = cluster.items(cluster.core.list_namespaced_pod, f"app.kubernetes.io/instance={release}")
        if not left:
            return
        if not said and time.monotonic() - began > _GRACE:
            logger.info(
                "%s: waiting for its pods to end: %s", release, ", ".join(pod["metadata"]["name"] for pod in left)
            )
            said = True
        time.sleep(next(pause))
