"""List every daemon of the cluster with its flags. Start none."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.kubernetes import nodes
from cluster.settings import CONTROL_PLANE, NODES, SERVICE_ADDRESSES, Settings


@dataclass(frozen=True)
class Daemon:
    name: str
    command: tuple[str, ...]
    needs_api: bool = False


def every(settings: Settings) -> list[Daemon]:
    daemons = [_etcd(settings), _api_server(settings)]
    daemons += [Daemon(f"containerd-{node.name}", nodes.containerd(settings, node)) for node in NODES]
    daemons += [_registry(settings), _controller_manager(settings), _scheduler(settings)]
    for node in NODES:
        daemons.append(Daemon(f"kubelet-{node.name}", nodes.kubelet(settings, node), needs_api=True))
        daemons.append(Daemon(f"kube-proxy-{node.name}", nodes.proxy(settings, node), needs_api=True))
    return daemons


def _built(settings: Settings, name: str, *flags: str, needs_api: bool = False) -> Daemon:
    """Return a daemon whose program scripts/tools builds."""
    return Daemon(name, (str(settings.bin / name), *flags), needs_api)


def _etcd(settings: Settings) -> Daemon:
    # etcd runs in memory and without fsync, because the cluster's state ends with the cluster.
    return _built(settings, "etcd", "--data-dir=/run/etcd", "--unsafe-no-fsync", "--log-level=warn")


def _api_server(settings: Settings) -> Daemon:
    keys = settings.certificates
    return _built(
        settings,
        "kube-apiserver",
        f"--advertise-address={CONTROL_PLANE.address}",
        f"--secure-port={settings.api_port}",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--profiling=false",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={keys}/accounts.key",
        f"--service-account-signing-key-file={keys}/accounts.key",
        # Logs, exec and port-forward need addresses, since no DNS knows the nodes' names.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/apiserver-to-kubelet.crt",
        f"--kubelet-client-key={keys}/apiserver-to-kubelet.key",
        # The metrics API needs the aggregation layer.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={keys}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={keys}/front-proxy.crt",
        f"--proxy-client-key-file={keys}/front-proxy.key",
    )


def _controller_manager(settings: Settings) -> Daemon:
    keys = settings.certificates
    return _built(
        settings,
        "kube-controller-manager",
        f"--kubeconfig={settings.run}/controller-manager.kubeconfig",
        f"--root-ca-file={keys}/ca.crt",
        f"--service-account-private-key-file={keys}/accounts.key",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        f"--flex-volume-plugin-dir={settings.run}/volume-plugins",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        # With these, a test of autoscaling takes one minute instead of ten.
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=20s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        needs_api=True,
    )


def _scheduler(settings: Settings) -> Daemon:
    flags = (f"--kubeconfig={settings.run}/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1")
    return _built(settings, "kube-scheduler", *flags, needs_api=True)


def _registry(settings: Settings) -> Daemon:
    return Daemon("registry", ("docker-registry", "serve", str(settings.run / "registry.yml")))
