"""Prove a new version as a candidate: a release of its own with one pod, which users can't reach.

A fault in image, model, settings or chart shows there. The candidate needs room for one extra pod, which the rollout's
surge reuses afterwards. Removing it undoes everything.
"""

from __future__ import annotations

import logging
from functools import partial

from k8s.checks.pods import Checks
from k8s.cluster import Cluster, Json
from k8s.errors import Busy, K8sError, NotUndone
from k8s.images import digest_of
from k8s.pods.waiting import Deadline, wait_for_rollout, wait_until_gone
from k8s.releases import records
from k8s.releases.helm import Helm, overlaid
from k8s.releases.lock import Lock

logger = logging.getLogger(__name__)

_SUFFIX = "-candidate"
_LABEL = "image-classifier/candidate-of"
"""Label of the candidate's record. A release that only has such a name is left alone."""
LONGEST_NAME = 53 - len(_SUFFIX)
"""Longest name of a release, in characters. Helm allows 53."""

_ALONE: Json = {
    # Nothing that reaches users, scales, raises alerts, or clashes with the objects of the release.
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
    # One pod that starts and ends quickly.
    "replicaCount": 1,
    "rollout": {"minReadySeconds": 0},
    "shutdown": {"preStopSeconds": 0},
    "settings": {"drainDelay": 0},
}


def prove(helm: Helm, name: str, chart: str, values: Json, checks: Checks, deadline: Deadline, lock: Lock) -> str:
    """Start the candidate, check it, and remove it in any case.

    Returns:
        The digest of the image that it ran; an empty string if no registry has it.

    Raises:
        Refused: the candidate doesn't start or fails a check. The release is unchanged.
        K8sError: another release has the candidate's name.
    """
    candidate, cluster = name + _SUFFIX, checks.cluster
    other = records.labels(cluster, candidate)
    if other and other.get(_LABEL) != name:
        raise K8sError(f"{candidate} is a release of its own, and {name} needs that name for its candidate; rename one")
    remove(helm, cluster, name)
    try:
        logger.info("candidate: %s", candidate)
        helm.upgrade(candidate, chart, alone(values, candidate), labels={_LABEL: name})
        look = partial(wait_for_rollout, cluster, candidate, "server", deadline, lock.check)
        look()
        checks.answers(look)
        checks.levels(look)
        digest = digest_of(look())
    except Busy:
        raise  # the candidate belongs to the command that has the lock now
    except K8sError as error:
        _remove_after(helm, cluster, name)
        raise type(error)(f"{error}; {name} is unchanged") from error
    except KeyboardInterrupt:
        _remove_after(helm, cluster, name)
        logger.warning("interrupted: %s is unchanged", name)
        raise
    remove(helm, cluster, name)
    wait_until_gone(cluster, candidate, deadline)
    return digest


def alone(values: Json, candidate: str) -> Json:
    """Return the values with which a version runs as a candidate."""
    own: Json = {"fullnameOverride": candidate}
    account = values.get("serviceAccount", {})
    if account.get("create", True) and account.get("name"):
        own["serviceAccount"] = {"name": ""}  # the name is taken by the release's own account
    return overlaid(overlaid(values, _ALONE), own)


def remove(helm: Helm, cluster: Cluster, name: str) -> None:
    """Remove the candidate if there is one, including the candidate of a killed command."""
    if records.labels(cluster, name + _SUFFIX).get(_LABEL) == name:
        helm.uninstall(name + _SUFFIX)


def _remove_after(helm: Helm, cluster: Cluster, name: str) -> None:
    try:
        helm.fence()  # even if there is no candidate: it may be another command that has removed it
        remove(helm, cluster, name)
    except Busy:
        raise
    except K8sError as error:
        by_hand = helm.by_hand("uninstall", name + _SUFFIX)
        raise NotUndone(f"the candidate can't be removed: {error}; by hand: {by_hand}") from error
