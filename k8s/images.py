"""Convert image references between the form of registries and the chart's values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from k8s.cluster import Json
from k8s.errors import K8sError

_REFERENCE = re.compile(
    r"(?P<repository>[a-zA-Z0-9][\w.-]*(?::\d+(?=/))?(?:/[a-z0-9][a-z0-9._-]*)*?)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Image:
    """REPOSITORY:TAG, REPOSITORY@DIGEST or both. The digest decides, as in Kubernetes."""

    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def values(self) -> dict[str, str]:
        """Return the chart's `image` section. A reference without a registry keeps the release's."""
        host, slash, rest = self.repository.partition("/")
        named = bool(slash) and (host == "localhost" or "." in host or ":" in host)
        where = {"registry": host, "repository": rest} if named else {"repository": self.repository}
        return where | {"tag": self.tag, "digest": self.digest}


def parse(text: str) -> Image:
    """Return the image of a reference.

    A tag or digest is required: without one it would be `latest`, to which no rollback could return.

    Raises:
        K8sError: the reference is invalid, or has neither tag nor digest.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise K8sError(f"--image {text}: not an image reference; write REPOSITORY:TAG or REPOSITORY@sha256:DIGEST")
    if not found["tag"] and not found["digest"]:
        raise K8sError(f"--image {text}: a tag or digest is missing; write {text}:TAG or {text}@sha256:DIGEST")
    return Image(found["repository"], found["tag"] or "", found["digest"] or "")


def digest_of(pods: list[Json]) -> str:
    """Return the digest by which a registry has the image that pods of the service run.

    Returns:
        `sha256:...`, or an empty string if there is no pod, or its image was only loaded into the node.
    """
    for container in [entry for pod in pods for entry in pod["status"]["containerStatuses"]]:
        runs, at, digest = str(container.get("imageID", "")).rpartition("://")[2].partition("@")
        given = _REFERENCE.fullmatch(container["image"])
        if container["name"] == "server" and at and given and _short(runs) == _short(given["repository"]):
            return digest
    return ""


def _short(repository: str) -> str:
    return repository.removeprefix("docker.io/").removeprefix("library/")


def pinned(section: Json, digest: str) -> Json:
    """Return a chart's `image` section whose tag, which may be pushed again, is held to a digest."""
    return section | {"digest": digest} if digest and section.get("tag") and not section.get("digest") else section


def unpinned(section: Json, before: Json) -> Json:
    """Return an `image` section without the digest that belongs to the tag of `before`, if it has another tag now."""
    stale = section.get("digest") == before.get("digest") and section.get("tag") != before.get("tag")
    return section | {"digest": ""} if stale and section.get("digest") else section
