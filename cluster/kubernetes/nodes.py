"""Configure containerd, kubelet and kube-proxy, which run on each node, and return their commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cluster import tools
from cluster.images import programs
from cluster.namespaces import network
from cluster.settings import CONTROL_PLANE, DNS_SERVICE, NODES, POD_ADDRESSES, Node, Settings

CONTAINERD = """\
version = 2
root = "{root}"
state = "/run/{node.name}/containerd"
[grpc]
  address = "{node.runtime}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # The machine may forbid lower scores than its own, and may lack AppArmor.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/registries"
"""
# `localhost` in an image's name means the machine; a node finds the same registry at the first node's address.
MIRROR = """\
server = "http://{address}:{port}"
[host."http://{address}:{port}"]
  capabilities = ["pull", "resolve", "push"]
"""


def configure(settings: Settings) -> None:
    """Write every file that the nodes' daemons read."""
    (settings.run / "resolv.conf").write_text(f"nameserver {DNS_SERVICE}\n")
    _write(settings.run / "registry.yml", _registry(settings))
    for node in NODES:
        folder = settings.run / node.name
        (folder / "cni").mkdir(parents=True)
        mirror = folder / "registries" / settings.registry
        mirror.mkdir(parents=True)
        (mirror / "hosts.toml").write_text(MIRROR.format(address=CONTROL_PLANE.address, port=settings.registry_port))
        _write(folder / "cni" / "pods.conflist", _pod_network(node))
        _write(folder / "kubelet.yaml", _kubelet(settings, node))
        _write(folder / "proxy.yaml", _proxy(settings, node))
        (folder / "containerd.toml").write_text(
            CONTAINERD.format(
                root=settings.home / "containerd" / node.name,
                node=node,
                folder=folder,
                pause=programs.name(settings, "pause"),
                plugins=tools.plugins(),
            )
        )


def containerd(settings: Settings, node: Node) -> tuple[str, ...]:
    command = ("containerd", "--config", f"{settings.run}/{node.name}/containerd.toml", "--log-level", "warn")
    return (*network.entering(node), *command)


def kubelet(settings: Settings, node: Node) -> tuple[str, ...]:
    folder = settings.run / node.name
    return (
        *network.entering(node),
        str(settings.bin / "kubelet"),
        f"--config={folder}/kubelet.yaml",
        f"--kubeconfig={settings.run}/{node.name}.kubeconfig",
        f"--root-dir={folder}/kubelet",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--node-labels=topology.kubernetes.io/zone={node.name}",
    )


def proxy(settings: Settings, node: Node) -> tuple[str, ...]:
    command = (str(settings.bin / "kube-proxy"), f"--config={settings.run}/{node.name}/proxy.yaml")
    return (*network.entering(node), *command, f"--hostname-override={node.name}")


def _kubelet(settings: Settings, node: Node) -> Mapping[str, object]:
    keys = settings.certificates
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": f"{keys}/ca.crt"}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{keys}/{node.name}.crt",
        "tlsPrivateKeyFile": f"{keys}/{node.name}.key",
        "containerRuntimeEndpoint": f"unix://{node.runtime}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.cgroup}/{node.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(settings.run / "resolv.conf"),
        "podLogsDir": str(settings.run / node.name / "logs"),
        "volumePluginDir": str(settings.run / "volume-plugins"),
        "serializeImagePulls": False,
        # The disk is the machine's, so the nodes must not evict pods to free it; images stay for the next run.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy(settings: Settings, node: Node) -> Mapping[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(settings.run / "proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": POD_ADDRESSES,
        # The size of the table belongs to the machine and can't be set from a namespace.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _pod_network(node: Node) -> Mapping[str, object]:
    # Each pod gets a pair of interfaces and no bridge, since bridges need br_netfilter, which some machines lack.
    ranges = [[{"subnet": node.pods}]]
    return {
        "cniVersion": "0.4.0",
        "name": node.name,
        "plugins": [
            {"type": "ptp", "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _registry(settings: Settings) -> Mapping[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(settings.run / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": f":{settings.registry_port}"},
    }


def _write(path: Path, content: Mapping[str, object]) -> None:
    # The files that must be YAML may be JSON, since JSON is YAML.
    path.write_text(json.dumps(content, indent=1))
