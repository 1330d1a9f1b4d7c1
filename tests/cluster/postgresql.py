"""Run Debian's PostgreSQL in a pod, from an image of the tests' own, for studies that several pods share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.images import archive, programs
from tests.cluster import workloads
from tests.cluster.kubectl import Cluster
from tests.cluster.product import digest, push_archive

USER, DATABASE = "tuner", "postgres"
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# The image needs /bin/sh, with which initdb starts the server, and a name for the user that the server runs as.
_START = """set -e
initdb -D /data/db -U "$PGUSER" -A scram-sha-256 --pwfile /password/password --no-locale --no-sync
echo "host all all all scram-sha-256" >> /data/db/pg_hba.conf
exec postgres -D /data/db -k /data -c listen_addresses=* -c fsync=off -c shared_buffers=16MB
"""


def start(cluster: Cluster, namespace: str, password: str, folder: Path) -> str:
    """Start the server, create the Secret `studies` with its URL, and return the Secret's name."""
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "studies"}}
    secret["stringData"] = {
        "url": f"postgresql+psycopg://{USER}:{password}@postgresql/{DATABASE}",
        "password": password,
    }
    ready = {"exec": {"command": ["pg_isready", "-h", "127.0.0.1", "-q"]}, "periodSeconds": 1}
    pod = workloads.pod(
        "postgresql",
        _image(cluster.registry, folder),
        "-c",
        _START,
        env=[{"name": "PATH", "value": f"{_PROGRAMS[-1]}:/bin"}, {"name": "PGUSER", "value": USER}],
        volumeMounts=[{"name": "password", "mountPath": "/password"}, {"name": "data", "mountPath": "/data"}],
        readinessProbe=ready,
    )
    pod["spec"]["volumes"] = [
        {"name": "password", "secret": {"secretName": "studies"}},
        {"name": "data", "emptyDir": {}},
    ]
    cluster.apply(namespace, secret, pod, workloads.service("postgresql", port=5432))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/postgresql", "--timeout=120s")
    return "studies"


def files() -> dict[str, Path]:
    """Return the image's files at Debian's paths, because the programs find the rest relative to themselves."""
    if not _PROGRAMS:
        pytest.skip("needs Debian's postgresql")
    binaries = [_PROGRAMS[-1] / name for name in ("postgres", "initdb", "pg_isready")]
    modules = [_PROGRAMS[-1].parent / "lib" / f"{name}.so" for name in ("dict_snowball", "plpgsql")]
    data = Path("/usr/share/postgresql", _PROGRAMS[-1].parent.name)
    found = {str(file): file for file in (*binaries, *modules, *data.rglob("*")) if file.is_file()}
    for program in (*binaries, *modules, Path("/bin/sh")):
        found |= programs.libraries(program)
    return found | {"/bin/sh": Path("/bin/sh"), "/etc/passwd": Path("/etc/passwd")}


def _image(registry: str, folder: Path) -> str:
    packed, name = folder / "postgresql.tar", "localhost/postgresql:test"
    archive.write(packed, name, files(), entrypoint=["/bin/sh"], user=programs.NOBODY)
    push_archive(packed, name, f"{registry}/postgresql:test")
    return f"{registry}/postgresql@{digest(registry, 'postgresql', 'test')}"
