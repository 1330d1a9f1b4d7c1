"""Lock a release with a Lease, so that one command changes it at a time. The Lease also records proved revisions.

The holder renews the Lease. A command that finds it held watches it: if it is renewed, another command is at work; if
it stays silent for its whole duration, the holder is dead and the Lease is taken over. No clocks are compared. A holder
that was only stalled finds out before its next change, because it renews the Lease before each.
"""

from __future__ import annotations

import copy
import getpass
import logging
import os
import socket
import threading
import time
import uuid
from datetime import UTC, datetime

from k8s.cluster import Cluster, Json
from k8s.errors import Busy, Conflict, K8sError, NotFound
from k8s.releases import records

logger = logging.getLogger(__name__)

DURATION = 15
"""Seconds for which a Lease holds without renewal. The holder renews it three times as often."""
_PROVED = "image-classifier/proved-revisions"
_TRYING = "image-classifier/rolls-back-to"
_KEPT = 10


class Lock:
    """A context manager that holds the Lease of a release. Entering raises Busy if another command holds it."""

    def __init__(self, cluster: Cluster, release: str, duration: int = DURATION) -> None:
        self._cluster, self._release, self._duration = cluster, release, duration
        self._name = f"{release}-release"
        self._identity = f"{_user()}@{socket.gethostname()} {uuid.uuid4().hex[:8]}"
        self._lease: Json = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Lock:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if not self._lost:
            try:
                self._write("")
            except Busy as error:
                logger.debug("%s", error)
            except K8sError as error:
                logger.warning(
                    "the lock of %s can't be released and expires in %d s: %s", self._release, self._duration, error
                )

    def look(self) -> Lock:
        """Read the Lease without taking it, and return this lock."""
        self._lease = self._read() or {"metadata": {}, "spec": {}}
        return self

    def check(self) -> None:
        """Raise Busy if another command has taken the Lease, as far as is known."""
        if self._lost:
            raise Busy(f"another command is changing {self._release}, so this one has stopped; try again later")

    def hold(self) -> None:
        """Renew the Lease; call it before each change.

        Raises:
            Busy: another command has taken the Lease.
        """
        self.check()
        self._write(self._identity)

    @property
    def interrupted(self) -> bool:
        """Whether an attempt hasn't ended. Unlike `trying`, it needs no permission to read Helm's records."""
        return bool(self._annotation(_TRYING))

    @property
    def proved(self) -> list[int]:
        """The revisions that passed all their checks, oldest first. Those that are gone aren't among them."""
        return self._existing(_PROVED)

    @property
    def trying(self) -> int | None:
        """The revision to roll back to if an attempt was killed; None if no attempt is unfinished."""
        return next(iter(self._existing(_TRYING)), None)

    def begin(self, good: int | None) -> None:
        """Record that an attempt starts, and the revision to roll back to."""
        self._write(self._identity, {_TRYING: self._entries([good] if good else [])})

    def end(self, proved: int | None = None) -> None:
        """Record that the attempt has ended, undone or with `proved`, a revision that passed all its checks."""
        revisions = [*self.proved, *([proved] if proved else [])]
        self._write(self._identity, {_TRYING: "", _PROVED: self._entries(revisions[-_KEPT:])})

    def _entries(self, revisions: list[int]) -> str:
        """Return REVISION=UID of each revision. A release that was uninstalled can't lend them to the next one."""
        uids = records.uids(self._cluster, self._release) if revisions else {}
        return ",".join(f"{revision}={uids[revision]}" for revision in revisions if revision in uids)

    def _existing(self, name: str) -> list[int]:
        entries = [entry.partition("=")[::2] for entry in self._annotation(name).split(",") if entry]
        uids = records.uids(self._cluster, self._release) if entries else {}
        return [int(revision) for revision, uid in entries if uids.get(int(revision)) == uid]

    def _annotation(self, name: str) -> str:
        return str(self._lease["metadata"].get("annotations", {}).get(name, ""))

    def _take(self) -> None:
        found = self._read()
        if found is None:
            metadata = {"name": self._name, "namespace": self._cluster.namespace}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
            created = self._cluster.leases.create_namespaced_lease
            self._lease = self._cluster.ask(created, self._cluster.namespace, body)
        else:
            self._lease = found
            self._watch_until_silent()
        self._write(self._identity)

    def _watch_until_silent(self) -> None:
        spec = self._lease["spec"]
        if not spec.get("holderIdentity"):
            return
        seconds = int(spec.get("leaseDurationSeconds", self._duration))
        logger.info(
            "waiting %d s to see whether %s, which holds the Lease %s, is at work",
            seconds,
            spec["holderIdentity"],
            self._name,
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(1, self._duration / 10))
            now = self._read()
            if now is None or not now["spec"].get("holderIdentity"):
                return self._take()
            if now["spec"].get("renewTime") != spec.get("renewTime"):
                since = str(now["spec"].get("acquireTime", "?"))[:19]
                raise Busy(
                    f"{now['spec']['holderIdentity']} has been changing {self._release} since {since}; try again later"
                )
        return None

    def _renew(self) -> None:
        while not self._lost and not self._ended.wait(self._duration / 3):
            try:
                self._write(self._identity)
            except K8sError as error:
                # Without an answer, the Lease is still this command's until another one takes it.
                logger.debug("%s", error)

    def _read(self) -> Json | None:
        try:
            return self._cluster.ask(self._cluster.leases.read_namespaced_lease, self._name, self._cluster.namespace)
        except NotFound:
            return None

    def _write(self, holder: str, annotations: dict[str, str] | None = None) -> None:
        """Replace the Lease as it was read. The API server refuses if it has changed since then."""
        with self._guard:
            try:
                self._lease = self._replaced(holder, annotations or {})
            except (Conflict, NotFound):
                # If an answer was lost, the client repeats a write that has already succeeded.
                now = self._read()
                self._lost = now is None or now["spec"].get("holderIdentity") != self._identity
                self.check()
                self._lease = now or {}
                self._lease = self._replaced(holder, annotations or {})

    def _replaced(self, holder: str, annotations: dict[str, str]) -> Json:
        lease, now = copy.deepcopy(self._lease), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = lease["spec"]
        lease["spec"] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": self._duration,
            "acquireTime": spec.get("acquireTime", now) if spec.get("holderIdentity") == holder else now,
            "renewTime": now,
        }
        lease["metadata"]["annotations"] = lease["metadata"].get("annotations", {}) | annotations
        replace = self._cluster.leases.replace_namespaced_lease
        return self._cluster.ask(replace, self._name, self._cluster.namespace, lease)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # in a container, the user may have no entry in /etc/passwd
