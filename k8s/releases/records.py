"""Look up Helm's records of a release: one Secret per revision, whose uid no other revision ever has."""

from __future__ import annotations

import contextlib
import logging

from k8s.cluster import Cluster, Json
from k8s.errors import K8sError, NotFound

logger = logging.getLogger(__name__)


def uids(cluster: Cluster, name: str) -> dict[int, str]:
    """Return the uid of each revision's record. Revisions of a release that was uninstalled had other ones."""
    return {int(about["labels"]["version"]): str(about["uid"]) for about in _metadata(cluster, name)}


def labels(cluster: Cluster, name: str) -> Json:
    """Return the labels of the newest record; an empty object if there is no such release."""
    found = sorted((about["labels"] for about in _metadata(cluster, name)), key=lambda each: int(each["version"]))
    return found[-1] if found else {}


def delete(cluster: Cluster, name: str, revision: int) -> None:
    """Delete the record of a revision, if it's there."""
    with contextlib.suppress(NotFound):
        cluster.ask(cluster.core.delete_namespaced_secret, f"sh.helm.release.v1.{name}.v{revision}", cluster.namespace)


def prune(cluster: Cluster, name: str, proved: list[int], newest: int = 10) -> None:
    """Delete old records, except the `newest` ones and those of `proved` revisions, to which a rollback returns.

    Helm itself would delete the oldest ones, which are often the proved ones. What can't be deleted stays.
    """
    try:
        for revision in sorted(uids(cluster, name))[:-newest]:
            if revision not in proved:
                delete(cluster, name, revision)
    except K8sError as error:
        logger.warning("old records of %s stay: %s", name, error)


def _metadata(cluster: Cluster, name: str) -> list[Json]:
    found = cluster.items(cluster.core.list_namespaced_secret, f"owner=helm,name={name}")
    return [secret["metadata"] for secret in found]
