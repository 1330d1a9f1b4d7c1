"""Image references as people and registries write them, and as the chart's values hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from k8s.errors import K8sError

_REFERENCE = re.compile(
    r"(?P<repository>[a-zA-Z0-9][\w.-]*(?::\d+(?=/))?(?:/[a-z0-9][a-z0-9._-]*)*?)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Image:
    """REPOSITORY:TAG, REPOSITORY@DIGEST or both; a digest wins, as it does in Kubernetes."""

    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def values(self) -> dict[str, str]:
        """Return the chart's `image` section. Without a registry of its own, the release's stays."""
        host, slash, rest = self.repository.partition("/")
        named = bool(slash) and (host == "localhost" or "." in host or ":" in host)
        where = {"registry": host, "repository": rest} if named else {"repository": self.repository}
        return where | {"tag": self.tag, "digest": self.digest}


def parse(text: str) -> Image:
    """Read a reference; one without tag and digest would be `latest`, which nothing could be rolled back to.

    Raises:
        K8sError: it isn't one.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise K8sError(f"--image {text}: not an image; write REPOSITORY:TAG or REPOSITORY@sha256:DIGEST")
    if not found["tag"] and not found["digest"]:
        raise K8sError(f"--image {text}: say which one, as {text}:TAG or {text}@sha256:DIGEST")
    return Image(found["repository"], found["tag"] or "", found["digest"] or "")
