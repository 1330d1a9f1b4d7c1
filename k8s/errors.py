"""What can go wrong, as one line and an exit code; and what the API server's and the connection's errors mean."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from kubernetes.client import ApiException


class K8sError(Exception):
    """The root of the tree: a name, a file or a value that is wrong; `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 1


class NotFound(K8sError):
    """There is no such object, release or namespace."""


class Conflict(K8sError):
    """Somebody wrote the same object in between."""


class Refused(K8sError):
    """A rollout or a check failed. What was changed for it has been undone."""

    exit_code = 3


class Unreachable(K8sError):
    """No kubeconfig, no answer, or credentials that aren't accepted."""

    exit_code = 4


class Forbidden(K8sError):
    """The credentials lack a right."""

    exit_code = 5


class Busy(K8sError):
    """Somebody else changes the same release."""

    exit_code = 6


class NotUndone(K8sError):
    """It failed, and so did undoing it: a person must look."""

    exit_code = 7


INTERRUPTED = 130


def one_line(text: object) -> str:
    """Return `text` without line breaks and runs of blanks."""
    return " ".join(str(text).split())


_FORBIDDEN = re.compile(
    r'(?P<resource>[\w.]+)(?: "(?P<name>[^"]*)")? is forbidden: User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource '
    r'"(?P<plural>[^"]*)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def forbidden(message: str) -> Forbidden | None:
    """Return the error for a message of the API server that a right is missing, or None if it says something else."""
    found = _FORBIDDEN.search(message)
    if found is None:
        return None
    resource = found["plural"] + (f".{found['group']}" if found["group"] else "")
    where = f"in namespace {found['namespace']}" if found["namespace"] else "in the cluster"
    return Forbidden(f"{found['user']} has no right to {found['verb']} {resource} {where}; see docs/kubernetes.md")


def from_api(error: ApiException) -> K8sError:
    """Return the error that an answer of the API server stands for."""
    try:
        message = str(json.loads(error.body or "")["message"])
    except (ValueError, TypeError, KeyError):
        message = one_line(error.body or error.reason or error.status)
    if error.status == 401:
        return Unreachable("the cluster doesn't accept these credentials (expired?); log in again")
    if error.status == 403:
        return forbidden(message) or Refused(one_line(message))
    if error.status == 404:
        return NotFound(one_line(message))
    kind = Conflict if error.status == 409 else K8sError
    return kind(f"the API server answers {error.status}: {one_line(message)}")


def unreachable(error: Exception, host: str) -> Unreachable:
    """Return the error for a connection to `host` that failed, with the innermost reason."""
    reason = getattr(error, "reason", None) or error
    text = one_line(reason)
    # urllib3 opens with the connection's representation.
    text = re.sub(r"^<?[\w.]*HTTPS?Connection[^:]*: (?=\S)", "", text)
    return Unreachable(f"the cluster at {host} can't be reached: {text}")
