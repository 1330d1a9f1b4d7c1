"""Define the errors of k8s, each with its exit code, and turn those of the API server and the connection into them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from commandline import CommandError, ExitCode

if TYPE_CHECKING:
    from kubernetes.client import ApiException


class K8sError(CommandError):
    """A name, a file or a value is wrong. The root of the errors of k8s."""


class NotFound(K8sError):
    """There is no such object, release or namespace."""


class Conflict(K8sError):
    """Another client has written the same object since it was read."""


class Refused(K8sError):
    """A rollout or a check failed, and the change has been undone."""

    exit_code = ExitCode.REFUSED


class NoRoom(Refused):
    """No node or quota has room for another pod."""


class Unreachable(K8sError):
    """There is no kubeconfig or no answer, or the cluster doesn't accept the credentials."""

    exit_code = ExitCode.UNREACHABLE


class Forbidden(K8sError):
    """The credentials lack a permission."""

    exit_code = ExitCode.FORBIDDEN


class Busy(K8sError):
    """Another command is changing the same release."""

    exit_code = ExitCode.BUSY


class NotUndone(K8sError):
    """The change failed, and so did undoing it. A person must look."""

    exit_code = ExitCode.NOT_UNDONE


def one_line(text: object) -> str:
    """Return `text` with each line break and run of blanks replaced by one blank."""
    return " ".join(str(text).split())


_FORBIDDEN = re.compile(
    r'(?P<resource>[\w.]+)(?: "(?P<name>[^"]*)")? is forbidden: User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource '
    r'"(?P<plural>[^"]*)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def forbidden(message: str) -> Forbidden | None:
    """Return the error for an API server's message that a permission is missing, or None for any other message."""
    found = _FORBIDDEN.search(message)
    if found is None:
        return None
    resource = found["plural"] + (f".{found['group']}" if found["group"] else "")
    where = f"in namespace {found['namespace']}" if found["namespace"] else "in the cluster"
    return Forbidden(f"{found['user']} has no permission to {found['verb']} {resource} {where}; see docs/kubernetes.md")


def message_of(body: str) -> str:
    """Return the message of a Status, in which the API server refuses; any other text as it is."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return body


def from_api(error: ApiException) -> K8sError:
    """Return the error for an answer of the API server."""
    message = message_of(error.body or "") or str(error.reason or error.status)
    if error.status == 401:
        return Unreachable("the cluster doesn't accept these credentials (expired?); log in again")
    if error.status == 403:
        return forbidden(message) or Refused(one_line(message))
    if error.status == 404:
        return NotFound(one_line(message))
    kind = Conflict if error.status == 409 else K8sError
    return kind(f"the API server answers {error.status}: {one_line(message)}")


def unreachable(error: Exception, host: str) -> Unreachable:
    """Return the error for a failed connection to `host`, with the innermost reason."""
    reason = getattr(error, "reason", None) or error
    text = one_line(reason)
    # urllib3's message begins with the connection's representation.
    text = re.sub(r"^<?[\w.]*HTTPS?Connection[^:]*: (?=\S)", "", text)
    return Unreachable(f"the cluster at {host} can't be reached: {text}")
