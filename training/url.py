"""A folder in object storage, as its URL says. Text only: nothing is asked of any server here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.errors import UsageError

SCHEMES = ("s3", "gs", "az", "abfs")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}")
# abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER, as Azure's own tools write it.
_CONTAINER = re.compile(r"[a-z0-9][a-z0-9-]{1,62}(@[a-z0-9]{3,24}\.(dfs|blob)\.core\.windows\.net)?")


@dataclass(frozen=True)
class Url:
    """`scheme://bucket/prefix`; the prefix has neither empty nor dotted segments, and no slash at either end."""

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
    def name(self) -> str:
        """The innermost folder, else the bucket."""
        return self.parts[-1]

    @property
    def parts(self) -> list[str]:
        """Bucket and folders, from the outermost in."""
        return [self.bucket, *self.prefix.split("/")] if self.prefix else [self.bucket]


def is_url(text: str) -> bool:
    """Whether `text` has a scheme, known or not."""
    return _SCHEME.fullmatch(text) is not None


def parse(text: str, option: str) -> Url:
    """Read the URL that `option` was given. Nothing in it is decoded: `%20` is three characters of a name.

    Raises:
        UsageError: another scheme, or an address that can't be one. A URL that may hold a secret isn't repeated.
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
            f"{option}: {scheme}:// is followed by the name of a bucket and a folder in it, not {bucket!r}"
        )
    prefix = prefix.removesuffix("/")
    segments = prefix.split("/")
    if prefix and any(segment in ("", ".", "..") for segment in segments):
        raise UsageError(f"{option}: {scheme}://{bucket}/... has an empty or dotted folder in its path ({prefix!r})")
    if not prefix.isprintable():
        raise UsageError(f"{option}: {scheme}://{bucket}/... has a control character in its path ({prefix!r})")
    return Url(scheme, bucket, prefix)
