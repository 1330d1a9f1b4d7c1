"""Show in one table what runs. It asks each pod directly, so it shows a wrong model in a single pod.

It reads no Secrets, and thus no records of Helm's: the chart notes on its Deployments what they would tell.
"""

from __future__ import annotations

import argparse
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from k8s import options
from k8s.cluster import Cluster, Json
from k8s.errors import K8sError
from k8s.pods import metrics
from k8s.pods.forward import Forward, management_port
from k8s.pods.rollout import is_ready
from k8s.pods.service import Service
from k8s.pods.waiting import deployment, selector
from k8s.releases.change import COMPONENTS, missing
from k8s.releases.lock import Lock

logger = logging.getLogger(__name__)

HELP = "show replicas, each pod's model, p99 and shed rate, and the HPA"

_COLUMNS = ("component", "pod", "ready", "restarts", "model", "digest", "p99", "shed")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument("name", metavar="NAME", help="name of the release")
    parser.add_argument(
        "--interval",
        type=float,
        default=2,
        metavar="S",
        help="seconds over which to measure p99 and shed rate (default: 2)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Return the state of a release, and change nothing.

    Raises:
        K8sError: there is no such release, or --interval is wrong.
    """
    if not 0 <= args.interval <= 3600:
        raise K8sError(f"--interval {args.interval:g}: must be 0 to 3600 seconds")
    name, cluster = options.release_name(args.name), options.cluster_of(args)
    running = {component: deployment(cluster, name, component) for component in COMPONENTS}
    if running["server"] is None:
        raise missing(name, cluster)
    found: dict[str, Any] = {
        "release": name,
        "namespace": cluster.namespace,
        "revision": _note(running["server"], "revision"),
        "chart": running["server"]["metadata"]["labels"]["helm.sh/chart"],
        "interrupted": Lock(cluster, name).look().interrupted,
        "canary_weight": _note(running["canary"], "canary-weight") if running["canary"] else None,
        "components": {},
        "pods": [],
        "hpa": _hpa(cluster, name),
    }
    for component, each in running.items():
        if each:
            status = each.get("status", {})
            counts = {"desired": each["spec"].get("replicas", 1), "ready": status.get("readyReplicas", 0)}
            found["components"][component] = counts | {"updated": status.get("updatedReplicas", 0)}
            pods = cluster.items(cluster.core.list_namespaced_pod, selector(name, component))
            with ThreadPoolExecutor(8) as pool:
                asked = pool.map(lambda pod, c=component: _pod(cluster, c, pod, args.interval), pods)
                found["pods"] += list(asked)
    found["message"] = text(found)
    return found


def _note(running: Json, name: str) -> int | None:
    """Return a number that the chart has noted on a Deployment; None if an older chart made it."""
    noted = running["metadata"].get("annotations", {}).get(f"image-classifier/{name}")
    return int(noted) if noted else None


def _pod(cluster: Cluster, component: str, pod: Json, interval: float) -> dict[str, Any]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    restarts = sum(entry.get("restartCount", 0) for entry in status.get("containerStatuses", []))
    row = {"component": component, "pod": name, "ready": is_ready(pod), "restarts": restarts}
    row |= dict.fromkeys(("model", "digest", "runtime", "p99_seconds", "shed_share"))
    if not row["ready"]:
        return row
    try:
        with Forward(cluster, [name], management_port(pod)) as forward, Service(forward.url) as service:
            about, before = service.version(), metrics.parse(service.metrics())
            time.sleep(interval)
            measured = metrics.figures(metrics.parse(service.metrics()), before)
    except K8sError as error:
        logger.warning("%s: %s", name, forward.error or error)
        return row
    row |= {"model": about["model"], "digest": about["digest"], "runtime": about["runtime"]}
    return row | {"p99_seconds": measured.p99, "shed_share": measured.shed}


def _hpa(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    labels = f"app.kubernetes.io/instance={name}"
    scalers = cluster.items(cluster.autoscaling.list_namespaced_horizontal_pod_autoscaler, labels)
    return [_scaler(entry) for entry in scalers]


def _scaler(entry: Json) -> dict[str, Any]:
    spec, status = entry["spec"], entry.get("status", {})
    current = {_metric(metric): _value(metric, "current") for metric in status.get("currentMetrics") or []}
    metrics_ = [
        {"metric": _metric(metric), "current": current.get(_metric(metric)), "target": _value(metric, "target")}
        for metric in spec.get("metrics") or []
    ]
    counts = {"current": status.get("currentReplicas"), "desired": status.get("desiredReplicas")}
    limits = {"min": spec.get("minReplicas", 1), "max": spec["maxReplicas"]}
    return {"name": entry["metadata"]["name"], **counts, **limits, "metrics": metrics_}


def _metric(metric: Json) -> str:
    source = _source(metric)
    return str(source.get("name") or source.get("metric", {}).get("name", metric.get("type", "?")))


def _value(metric: Json, side: str) -> str:
    value = _source(metric).get(side, {})
    if "averageUtilization" in value:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or "?")


def _source(metric: Json) -> Json:
    kind = metric.get("type", "")
    found: Json = metric.get(kind[:1].lower() + kind[1:], {})
    return found


def text(found: dict[str, Any]) -> str:
    """Return the table as text."""
    revision = "" if found["revision"] is None else f"runs revision {found['revision']}, "
    head = f"{found['release']} in {found['namespace']}: {revision}{found['chart']}"
    lines = [head + (", a command was interrupted (run `abort` or `release`)" if found["interrupted"] else "")]
    for component, counts in found["components"].items():
        share = found["canary_weight"] if component == "canary" else None
        weight = "" if share is None else f", {share}% of the requests"
        lines.append(
            f"{component}: {counts['ready']} of {counts['desired']} ready, {counts['updated']} updated{weight}"
        )
    for scaler in found["hpa"]:
        measured = ", ".join(f"{m['metric']} {m['current'] or '?'} of {m['target']}" for m in scaler["metrics"])
        lines.append(
            f"hpa {scaler['name']}: {scaler['current']} replicas, wants {scaler['desired']} "
            f"of {scaler['min']} to {scaler['max']}; {measured}"
        )
    rows = [_COLUMNS, *(_row(pod) for pod in found["pods"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines += ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return "\n".join(lines)


def _row(pod: dict[str, Any]) -> tuple[str, ...]:
    p99, shed = pod["p99_seconds"], pod["shed_share"]
    return (
        pod["component"],
        pod["pod"],
        "yes" if pod["ready"] else "no",
        str(pod["restarts"]),
        pod["model"] or "-",
        (pod["digest"] or "-")[:12],
        "-" if p99 is None else f"{1000 * p99:.1f} ms",
        "-" if shed is None else f"{100 * shed:.1f}%",
    )
