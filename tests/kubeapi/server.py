"""A stub of the Kubernetes API on loopback for Helm and the client: discovery, objects, permissions, pod tunnels."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.kubeapi import protobuf, tunnels
from tests.kubeapi.http import QuietHandler, QuietServer
from tests.kubeapi.objects import RESOURCES, Json, Objects
from tests.kubeapi.ownership import Ownership
from tests.kubeapi.patches import merged
from tests.kubeapi.pods import Fate, reconcile

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_GROUPS = {plural: (group, version, kind) for group, version, plural, kind, _ in RESOURCES}


class KubeApi:
    """A context manager. Tests set the `fates` of images, remove permissions, and read `objects` and `asked`."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.ownership = Ownership()
        self.fates: dict[str, Fate] = {}
        self.most_pods = 100
        self.token = "secret"
        self.allowed: Callable[[str, str, str], bool] = lambda verb, group, resource: True
        self.asked: list[tuple[str, str, str]] = []
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        """Called before each request is served, for tests that act at a certain moment."""
        self._server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.objects.put("namespaces", {"kind": "Namespace", "metadata": {"name": "default"}})

    def __enter__(self) -> KubeApi:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, folder: Path, token: str | None = None) -> Path:
        """Write a kubeconfig for this server."""
        file = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": self.url}}],
            "users": [{"name": "stub", "user": {"token": token or self.token}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def reconcile(self) -> None:
        with self.objects.lock:
            reconcile(self.objects, self.fates, self.most_pods)


class _Handler(QuietHandler):
    api: KubeApi

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.command == "DELETE":
            body = b""  # DeleteOptions, which the stub ignores
        secret = body.startswith(protobuf.MAGIC)
        if not url.path.startswith("/api"):
            body = b""  # a client that takes this server for another one
        self.body = protobuf.secret(body) if secret else yaml.load(body, yaml.CSafeLoader) or {}
        self.api.on_request(self.command, url.path)
        # Go's client sends credentials over TLS only, and the stub has no TLS.
        if self.headers.get("Authorization") not in (None, f"Bearer {self.api.token}"):
            self._fail(401, "Unauthorized")
            return
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        discovered = _discovery(parts)
        if discovered is not None:
            self._answer(200, discovered)
            return
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
            if namespace != "default" and self.command == "POST":
                self._fail(404, f'namespaces "{namespace}" not found')
                return
        if not rest or rest[0] not in _GROUPS:
            self._fail(404, "the server could not find the requested resource")
            return
        with self.api.objects.lock:
            self.api.reconcile()
        self._resource(*rest)

    def _resource(self, resource: str, name: str = "", sub: str = "") -> None:
        verb = _VERBS.get(self.command) or ("get" if name else "list")
        group, full = _GROUPS[resource][0], f"{resource}/{sub}" if sub else resource
        self.api.asked.append((verb, group, full))
        if not self.api.allowed(verb, group, full):
            which = f'{resource}{"." + group if group else ""} "{name}"' if name else resource
            user = "system:serviceaccount:default:releaser"
            where = f'cannot {verb} resource "{full}" in API group "{group}" in the namespace "default"'
            self._fail(403, f'{which} is forbidden: User "{user}" {where}')
            return
        if sub:
            self._sub(name, sub)
            return
        with self.api.objects.lock:
            answer = getattr(self, f"_{verb}")(resource, name)
            self.api.reconcile()
        self._answer(*answer)

    def _sub(self, name: str, sub: str) -> None:
        pod = self.api.objects.get("pods", name)
        if pod is None:
            self._fail(404, f'pods "{name}" not found')
            return
        image = pod["status"]["containerStatuses"][0]["image"]
        fate = self.api.fates[image]
        if sub == "log" and fate.endless:
            self._write_on(fate.log.encode())
        elif sub == "log":
            self._answer(200, fate.log.encode())
        elif sub == "portforward":
            port = int(self.query["ports"][0])
            open_ports = [each["containerPort"] for own in pod["spec"]["containers"] for each in own.get("ports", [])]
            assert port in open_ports, f"{name} has no port {port}"
            tunnels.port_forward(self, fate, port)
        elif sub == "exec":
            tunnels.execute(self, fate, self.query["command"])

    def _list(self, resource: str, _: str) -> tuple[int, Json]:
        group, version, kind = _GROUPS[resource]
        found = self.api.objects.all(resource, self.query.get("labelSelector", [""])[0])
        field, _, uid = self.query.get("fieldSelector", [""])[0].partition("=")
        if field == "involvedObject.uid":
            found = [entry for entry in found if entry["involvedObject"]["uid"] == uid]
        about = {"apiVersion": f"{group}/{version}" if group else version, "kind": f"{kind}List", "metadata": {}}
        return 200, about | {"items": found}

    def _get(self, resource: str, name: str) -> tuple[int, Json]:
        found = self.api.objects.get(resource, name)
        return (200, found) if found else self._missing(resource, name)

    def _create(self, resource: str, _: str) -> tuple[int, Json]:
        name = self.body["metadata"]["name"]
        if self.api.objects.get(resource, name):
            return 409, _status(409, f'{resource} "{name}" already exists', "AlreadyExists")
        return 201, self.api.objects.put(resource, self.body)

    def _update(self, resource: str, name: str) -> tuple[int, Json]:
        found = self.api.objects.get(resource, name)
        if found is None:
            return self._missing(resource, name)
        version = self.body["metadata"].get("resourceVersion")
        if version and version != found["metadata"]["resourceVersion"]:
            return 409, _status(409, f'{resource} "{name}": the object has been modified', "Conflict")
        return 200, self.api.objects.put(resource, self.body)

    def _patch(self, resource: str, name: str) -> tuple[int, Json]:
        found = self.api.objects.get(resource, name)
        manager = self.query.get("fieldManager", ["unknown"])[0]
        if "apply-patch" in self.headers["Content-Type"]:
            force = self.query.get("force") == ["true"]
            refusal = self.api.ownership.applied(resource, found, self.body, manager, force=force)
            if refusal:
                return 409, _status(409, refusal, "Conflict")
            return 200, self.api.objects.put(resource, self.body)
        if found is None:
            return self._missing(resource, name)
        new = merged(found, self.body, strategic="strategic" in self.headers["Content-Type"])
        self.api.ownership.written(resource, found, new, manager)
        return 200, self.api.objects.put(resource, new)

    def _delete(self, resource: str, name: str) -> tuple[int, Json]:
        found = self.api.objects.delete(resource, name)
        return (200, found) if found else self._missing(resource, name)

    def _missing(self, resource: str, name: str) -> tuple[int, Json]:
        return 404, _status(404, f'{resource} "{name}" not found', "NotFound")

    def _fail(self, code: int, message: str) -> None:
        reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
        self._answer(code, _status(code, message, reasons[code]))

    def _write_on(self, line: bytes) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may close the connection
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                time.sleep(0.05)

    def _answer(self, code: int, document: Any) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(document, bytes) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _status(code: int, message: str, reason: str) -> Json:
    about = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return about | {"message": message, "reason": reason, "code": code}


def _discovery(parts: list[str]) -> Json | None:
    groups = sorted({(group, version) for group, version, *_ in RESOURCES if group})
    if parts == ["version"]:
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
    if parts[:2] == ["openapi", "v3"]:
        return _openapi(parts[2:], groups)
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if parts == ["apis"]:
        versions = {group: {"groupVersion": f"{group}/{version}", "version": version} for group, version in groups}
        found = [{"name": group, "versions": [v], "preferredVersion": v} for group, v in versions.items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}
    wanted = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else tuple(parts[1:])
    if wanted not in [("", "v1"), *groups]:
        return None
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": verbs}
        for group, version, plural, kind, namespaced in RESOURCES
        if (group, version) == wanted
    ]
    name = "/".join(filter(None, wanted))
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _openapi(parts: list[str], groups: list[tuple[str, str]]) -> Json:
    """Return a document by which the server validates fields itself, so that clients don't need the schemas."""
    if not parts:
        names = ["api/v1", *("apis/" + "/".join(group) for group in groups)]
        return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in names}}
    paths: Json = {}
    for group, version, plural, kind, _ in RESOURCES:
        about = {"group": group, "version": version, "kind": kind}
        checked = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
        patch = {"parameters": [checked], "x-kubernetes-group-version-kind": about, "responses": {}}
        paths[f"/{'/'.join(parts)}/namespaces/{{namespace}}/{plural}/{{name}}"] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {"title": "stub", "version": "1"}, "paths": paths}
