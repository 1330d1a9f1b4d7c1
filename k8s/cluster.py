"""Connect to one namespace of a cluster. Answers are the API's JSON, never the client's classes."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8s.errors import Forbidden, K8sError, NotFound, Unreachable, from_api, one_line, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

_SECONDS = 30
"""Timeout of one request."""


@dataclass(frozen=True)
class Cluster:
    """The cluster and namespace of a command, resolved once. Every process that the command starts is held to them."""

    client: Any
    """The `kubernetes` package's ApiClient."""
    namespace: str
    kubeconfig: str = os.devnull
    """Value of KUBECONFIG for processes; the null device in a pod that uses its service account."""
    context: str | None = None
    """Name of the context; None in a pod that uses its service account."""

    @property
    def host(self) -> str:
        """The API server's URL."""
        return str(self.client.configuration.host)

    @property
    def helm_flags(self) -> list[str]:
        """The flags by which a person's helm finds this namespace of this cluster."""
        return ["--namespace", self.namespace, *(["--kube-context", self.context] if self.context else [])]

    @property
    def kubectl_flags(self) -> list[str]:
        """The flags by which a person's kubectl finds this namespace of this cluster."""
        return ["--namespace", self.namespace, *(["--context", self.context] if self.context else [])]

    @cached_property
    def core(self) -> Any:
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.client)

    @cached_property
    def apps(self) -> Any:
        from kubernetes.client import AppsV1Api

        return AppsV1Api(self.client)

    @cached_property
    def batch(self) -> Any:
        from kubernetes.client import BatchV1Api

        return BatchV1Api(self.client)

    @cached_property
    def autoscaling(self) -> Any:
        from kubernetes.client import AutoscalingV2Api

        return AutoscalingV2Api(self.client)

    @cached_property
    def leases(self) -> Any:
        from kubernetes.client import CoordinationV1Api

        return CoordinationV1Api(self.client)

    def text(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        """Return the answer of an API's method, unparsed.

        Raises:
            K8sError: the API server refuses the request or doesn't answer.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = method(*arguments, _preload_content=False, _request_timeout=_SECONDS, **options)
            return str(answer.data.decode("utf-8", "replace"))
        except ApiException as error:
            raise from_api(error) from error
        except HTTPError as error:
            raise unreachable(error, self.host) from error

    def ask(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Json:
        """Return the answer of an API's method, a JSON object; raise as `text` does."""
        try:
            document: Json = json.loads(self.text(method, *arguments, **options))
        except ValueError as error:
            raise Unreachable(f"{self.host} doesn't answer as a Kubernetes API server") from error
        return document

    def items(self, method: Callable[..., Any], selector: str) -> list[Json]:
        """Return the objects of this namespace that a label selector finds."""
        found: list[Json] = self.ask(method, self.namespace, label_selector=selector)["items"]
        return found

    def check(self) -> None:
        """Fail early if the cluster doesn't answer or lacks the namespace.

        The permission to get the namespace isn't needed. Without it, the first object shows a wrong namespace.

        Raises:
            K8sError: the cluster doesn't answer, or there is no such namespace.
        """
        try:
            self.ask(self.core.read_namespace, self.namespace)
        except Forbidden:
            return
        except NotFound as error:
            raise NotFound(f"no namespace {self.namespace} (kubectl create namespace {self.namespace})") from error


def connect(namespace: str | None, kubeconfig: str | None, context: str | None) -> Cluster:
    """Connect as kubectl does: by the kubeconfig, or by a pod's service account if there is no kubeconfig.

    Raises:
        Unreachable: there is neither, or the kubeconfig is invalid.
        K8sError: a variable would direct helm elsewhere.
    """
    import yaml
    from kubernetes import client, config

    _refuse_helms_own(namespace, context)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it logs each of its retries
    configuration = client.Configuration()
    given = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    complaints = _Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and given.startswith("~") and not Path(given).expanduser().exists():
            config.load_incluster_config(client_configuration=configuration)
            own = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
            files, chosen, default = os.devnull, None, own.read_text().strip() if own.exists() else "default"
        else:
            files = os.pathsep.join(str(Path(file).expanduser()) for file in given.split(os.pathsep) if file)
            chosen, default = _load(files, context, configuration)
    except (config.ConfigException, OSError, ValueError) as error:
        if "No configuration found" in str(error):
            message = f"no cluster: {given} doesn't exist or is empty; set KUBECONFIG or --kubeconfig"
            raise Unreachable(message) from error
        raise Unreachable(f"kubeconfig: {one_line(error)}") from error
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:  # the client doesn't validate it
        raise Unreachable(f"kubeconfig: {given} is invalid: {one_line(error)}") from error
    finally:
        logging.getLogger().removeHandler(complaints)
    if complaints.first:
        raise Unreachable(f"kubeconfig: its credential command failed: {complaints.first}")
    configuration.retries = _retries()
    return Cluster(client.ApiClient(configuration), namespace or default, files, chosen)


def _load(files: str, context: str | None, configuration: Any) -> tuple[str, str]:
    """Configure the client by a kubeconfig, read once; return the names of the context and of its namespace."""
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    merged = KubeConfigMerger(files)
    if merged.config is None:
        raise ConfigException("No configuration found.")
    loader = KubeConfigLoader(
        merged.config, active_context=context, config_base_path=None, config_persister=merged.save_changes
    )
    loader.load_and_set(configuration)
    chosen = loader.current_context
    return str(chosen["name"]), str(chosen["context"].get("namespace") or "default")


def _refuse_helms_own(namespace: str | None, context: str | None) -> None:
    """Refuse variables that direct helm alone, unless a flag says what they would say."""
    flags = {"HELM_KUBECONTEXT": context, "HELM_NAMESPACE": namespace}
    for name, value in os.environ.items():
        if value and (name.startswith("HELM_KUBE") or name in flags) and not flags.get(name):
            raise K8sError(
                f"{name} is set, which only helm reads; unset it, and pass --context, --namespace or --kubeconfig"
            )
    if os.environ.get("HELM_DRIVER", "") not in ("", "secret", "secrets"):
        raise K8sError(f"HELM_DRIVER={os.environ['HELM_DRIVER']}: helm's records must be Secrets; unset it")


class _Complaints(logging.Handler):
    """Keep what the client logs when a credential command fails, because it then continues without credentials."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or one_line(record.getMessage())


def _retries() -> Any:
    from urllib3.util import Retry

    # Connecting and reading again is harmless. urllib3 doesn't repeat a POST that may have arrived.
    return Retry(connect=2, read=2, redirect=0, status=0, other=0, backoff_factor=0.3)
