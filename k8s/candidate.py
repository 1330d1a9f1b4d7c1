"""The candidate: the new version as a release of its own, one pod, which no Service or route of the real one selects.

Whatever is wrong with image, model, settings or chart shows there. Its pod needs the room that the rollout's surge
would need anyway, and taking it away undoes everything.
"""

from __future__ import annotations

import logging

from k8s.checks import Checks
from k8s.cluster import Json
from k8s.errors import K8sError, NotUndone
from k8s.helm import Helm, overlaid
from k8s.lock import Lock
from k8s.waiting import Deadline, wait_for_rollout, wait_until_gone

logger = logging.getLogger(__name__)

_SUFFIX = "-candidate"
LONGEST_NAME = 53 - len(_SUFFIX)
"""Of a release; helm takes 53 characters."""

_ALONE: Json = {
    # What would reach users, scale, raise alarms, or clash with the real release's objects.
    "autoscaling": {"enabled": False},
    "keda": {"enabled": False},
    "canary": {"enabled": False},
    "shadow": {"enabled": False},
    "ingress": {"enabled": False},
    "httpRoute": {"enabled": False},
    "serviceMonitor": {"enabled": False},
    "podMonitor": {"enabled": False},
    "prometheusRule": {"enabled": False},
    "dashboard": {"enabled": False},
    "extraObjects": [],
    "service": {"type": "ClusterIP"},
    # One pod, soon there and soon gone.
    "replicaCount": 1,
    "rollout": {"minReadySeconds": 0},
    "shutdown": {"preStopSeconds": 0},
    "settings": {"drainDelay": 0},
}


def prove(helm: Helm, name: str, chart: str, values: Json, checks: Checks, deadline: Deadline, lock: Lock) -> None:
    """Start the candidate, check it, and take it away, whatever comes of it.

    Raises:
        Refused: it doesn't start, or fails a check. The release is as it was.
    """
    candidate = name + _SUFFIX
    remove(helm, name)
    try:
        logger.info("candidate: %s", candidate)
        helm.upgrade(candidate, chart, alone(values, candidate))
        pods = wait_for_rollout(checks.cluster, candidate, "server", deadline, lock.check)
        checks.answers(pods)
        checks.levels(pods)
    except K8sError as error:
        _remove_after(helm, name)
        raise type(error)(f"{error}; {name} is as it was") from error
    except KeyboardInterrupt:
        _remove_after(helm, name)
        logger.warning("interrupted: %s is as it was", name)
        raise
    remove(helm, name)
    wait_until_gone(checks.cluster, candidate, deadline)


def alone(values: Json, candidate: str) -> Json:
    """Return the values with which a version runs where nobody meets it."""
    own: Json = {"fullnameOverride": candidate}
    account = values.get("serviceAccount", {})
    if account.get("create", True) and account.get("name"):
        own["serviceAccount"] = {"name": ""}  # the real release's can't be made twice
    return overlaid(overlaid(values, _ALONE), own)


def remove(helm: Helm, name: str) -> None:
    """Take a candidate away, if there is one, also that of a command that was killed."""
    helm.uninstall(name + _SUFFIX)


def _remove_after(helm: Helm, name: str) -> None:
    try:
        remove(helm, name)
    except K8sError as error:
        raise NotUndone(f"the candidate stays: helm uninstall {name}{_SUFFIX}: {error}") from error
