"""Gather the cluster's programs in one folder, building those written in Go. Start no daemon."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from cluster.errors import ClusterError
from cluster.settings import REPOSITORY, Settings

# The commands that each folder of scripts/tools builds. Go names etcd's command after its module: server.
BUILT = {
    "cluster": (
        *("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"),
        *("coredns", "contour"),
    ),
    # It needs other versions of Kubernetes' libraries than the rest.
    "metrics-server": ("metrics-server",),
}
# Folders where distributions put the network plugins.
PLUGINS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
NEEDED = (
    *("containerd", "containerd-shim-runc-v2", "ctr", "runc", "docker-registry", "iptables", "conntrack", "catatonit"),
    *("ip", "mount", "nsenter", "setpriv", "unshare", "openssl"),
)


def gather(settings: Settings) -> None:
    """Fill `settings.bin`. The first time on a machine takes minutes, later times a moment."""
    require()
    settings.bin.mkdir(parents=True, exist_ok=True)
    for folder, commands in BUILT.items():
        built = build(folder)
        for command in commands:
            _link(settings.bin / ("etcd" if command == "server" else command), built / command)
    _link(settings.bin / "envoy", Path(_output("wheel", "envoy")) / "envoy" / "_bin" / "envoy")
    # A pod's first container only has to wait and to reap orphans, which catatonit does.
    _link(settings.bin / "pause", Path(shutil.which("catatonit") or "catatonit"))
    _link(settings.bin / "helm", _helm(settings))


def require() -> None:
    """Check that the machine can run the cluster.

    Raises:
        ClusterError: it can't; the message names what is missing.
    """
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise ClusterError("the cluster needs root on Linux; or set KUBECONFIG to use a cluster that you have")
    missing = [command for command in NEEDED if shutil.which(command, path=search_path()) is None]
    if missing:
        raise ClusterError(f"missing on this machine: {', '.join(missing)}; `make cluster` installs them on Debian")
    plugins()


def plugins() -> Path:
    for folder in map(Path, PLUGINS):
        if (folder / "ptp").exists():
            return folder
    raise ClusterError(f"no CNI plugins in {', '.join(PLUGINS)}; install containernetworking-plugins")


def search_path(*first: Path) -> str:
    return os.pathsep.join([*map(str, first), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def contour_manifest() -> Path:
    """Return the path of Contour's own manifest, in the module that its command is built from."""
    return module("cluster", "github.com/projectcontour/contour") / "examples" / "render" / "contour-gateway.yaml"


def module(folder: str, name: str) -> Path:
    """Return the folder with the sources of a module that a folder of scripts/tools builds from."""
    within = ("-C", str(REPOSITORY / "scripts" / "tools" / folder))
    _output("go", *within, "mod", "download", name)
    return Path(_output("go", *within, "list", "-m", "-f", "{{.Dir}}", name))


def build(folder: str) -> Path:
    """Build the commands of a folder of scripts/tools and return their folder. The first time takes minutes."""
    return Path(_output("build-tools", str(REPOSITORY / "scripts" / "tools" / folder)))


def _helm(settings: Settings) -> Path:
    """Return the helm to link to, by preference one on PATH, where our own link doesn't count."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder) != settings.bin]
    return Path(_output("helm", "which", PATH=os.pathsep.join(folders)))


def _output(script: str, *arguments: str, **variables: str) -> str:
    command, environment = [str(REPOSITORY / "scripts" / script), *arguments], os.environ | variables
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise ClusterError(f"scripts/{script} {' '.join(arguments)} failed; its message is above")
    return done.stdout.strip()


def _link(link: Path, target: Path) -> None:
    if not target.exists():
        raise ClusterError(f"{target} is missing; remove its folder and start the cluster again")
    link.unlink(missing_ok=True)
    link.symlink_to(target)
