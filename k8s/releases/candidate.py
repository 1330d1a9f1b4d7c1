"""Prove a new version as a candidate: a release of its own with one pod, which users can't reach.

A fault in image, model, settings or chart shows there. The candidate needs room for one extra pod, which the rollout's
surge reuses afterwards; where nothing surges, the rollout does without it. Removing it undoes everything.
"""

from __future__ import annotations

import logging
import re
from functools import partial

from k8s.checks.pods import Checks
from k8s.cluster import Cluster, Json
from k8s.errors import Busy, K8sError, NoRoom, NotUndone
from k8s.images import digest_of
from k8s.pods.waiting import Deadline, wait_for_rollout, wait_until_gone
from k8s.releases import needs, records
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
    "service": {"type": "ClusterIP"},
    # One pod that starts and ends quickly.
    "replicaCount": 1,
    "rollout": {"minReadySeconds": 0},
    "shutdown": {"preStopSeconds": 0},
    "settings": {"drainDelay": 0},
}


def prove(
    helm: Helm, name: str, chart: str, values: Json, checks: Checks, deadline: Deadline, lock: Lock, when: str = "auto"
) -> str:
    """Start the candidate, check it, and remove it in any case.

    Args:
        when: `always`, `never`, or `auto`, which does without it if it has no room and the rollout needs none.

    Returns:
        The digest of the image that it ran; an empty string if no registry has it, or if there was no candidate.

    Raises:
        Refused: the candidate doesn't start or fails a check. The release is unchanged.
        K8sError: another release has the candidate's name.
    """
    candidate, cluster = name + _SUFFIX, checks.cluster
    other = records.labels(cluster, candidate)
    if other and other.get(_LABEL) != name:
        raise K8sError(f"{candidate} is a release of its own, and {name} needs that name for its candidate; rename one")
    remove(helm, cluster, name)
    if when == "never":
        return ""
    try:
        logger.info("candidate: %s", candidate)
        own = needs.of_candidate(helm, name, chart, overlaid(values, _ALONE))
        helm.upgrade(candidate, chart, alone(values, candidate, own), labels={_LABEL: name})
        look = partial(wait_for_rollout, cluster, candidate, "server", deadline, lock.check)
        look()
        checks.answers(look)
        checks.levels(look)
        digest = digest_of(look())
    except Busy:
        raise  # the candidate belongs to the command that has the lock now
    except K8sError as error:
        _remove_after(helm, cluster, name)
        if isinstance(error, NoRoom) and when == "auto" and not _surges(values):
            logger.warning("%s; rollout.maxSurge is 0, so the rollout starts without a candidate", error)
            return ""
        raise type(error)(f"{error}; {name} is unchanged") from error
    except KeyboardInterrupt:
        _remove_after(helm, cluster, name)
        logger.warning("interrupted: %s is unchanged", name)
        raise
    remove(helm, cluster, name)
    wait_until_gone(cluster, candidate, deadline)
    return digest


def alone(values: Json, candidate: str, own: Json) -> Json:
    """Return the values with which a version runs as a candidate. `own` are those of `needs.of_candidate`."""
    return overlaid(overlaid(values, _ALONE), own | {"fullnameOverride": candidate})


def _surges(values: Json) -> bool:
    """Return whether a rollout starts an extra pod; the chart's default is one."""
    return not re.fullmatch(r"0+%?", str(values.get("rollout", {}).get("maxSurge", 1)))


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
