"""Parse the URL of a folder in object storage. Sends no request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.errors import UsageError

SCHEMES = ("s3", "gs", "az", "abfs")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}")
# Azure's own tools write abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER.
_CONTAINER = re.compile(r"[a-z0-9][a-z0-9-]{1,62}(@[a-z0-9]{3,24}\.(dfs|blob)\.core\.windows\.net)?")


@dataclass(frozen=True)
class Url:
    """`scheme://bucket/prefix`. The prefix has no empty or dotted segments, and no slash at either end."""

    scheme: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    def __truediv__(self, name: str) -> Url:
        return Url(self.scheme, self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    @property
    def root(self) -> Url:
        """The bucket."""
        return Url(self.scheme, self.bucket, "")

    @property
    def parts(self) -> list[str]:
        """The bucket and the folders, outermost first."""
        return [self.bucket, *self.prefix.split("/")] if self.prefix else [self.bucket]


def is_url(text: str) -> bool:
    """Return whether `text` has a scheme, supported or not."""
    return _SCHEME.fullmatch(text) is not None


def parse(text: str, option: str) -> Url:
    """Parse the URL `text`, the value of `option`. Nothing in it is decoded: `%20` is three characters of a name.

    Raises:
        UsageError: the scheme isn't supported, or the address is invalid. No message repeats a URL that may hold a
            secret.
    """
    found = _SCHEME.fullmatch(text)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", "")
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise UsageError(f"{option} has a URL of scheme {scheme!r}; it takes a folder, or one of {known}")
    bucket, _, prefix = rest.partition("/")
    if "?" in rest or (scheme in ("s3", "gs") and "@" in bucket) or ":" in bucket:
        raise UsageError(
            f"{option}: a {scheme}:// URL takes no user, password, port or query; credentials come from the environment"
        )
    if not (_CONTAINER if scheme in ("az", "abfs") else _BUCKET).fullmatch(bucket):
        raise UsageError(
            f"{option}: {scheme}:// takes the name of a bucket, then a folder in it; {bucket!r} is no such name"
        )
    prefix = prefix.removesuffix("/")
    segments = prefix.split("/")
    if prefix and any(segment in ("", ".", "..") for segment in segments):
        raise UsageError(f"{option}: {scheme}://{bucket}/... has an empty or dotted folder in its path ({prefix!r})")
    if not prefix.isprintable():
        raise UsageError(f"{option}: {scheme}://{bucket}/... has a control character in its path ({prefix!r})")
    return Url(scheme, bucket, prefix)
