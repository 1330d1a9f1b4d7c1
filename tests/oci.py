"""Push an artifact with one layer to a registry over HTTP, as `oras push` does."""

from __future__ import annotations

import hashlib
import json

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b"{}"


def manifest(layer: bytes) -> bytes:
    """Return the manifest of the artifact with this layer."""
    config = {"mediaType": "application/vnd.oci.empty.v1+json", **_described(EMPTY)}
    layers = [{"mediaType": "application/octet-stream", **_described(layer)}]
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()


def push(host: str, repository: str, tag: str, layer: bytes) -> None:
    """Store `layer` as REPOSITORY:TAG in the registry at `host`."""
    for blob in (layer, EMPTY):
        started = httpx.post(f"http://{host}/v2/{repository}/blobs/uploads/")
        location = httpx.URL(started.raise_for_status().headers["Location"])
        digest = {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}"}
        httpx.put(location.copy_merge_params(digest), content=blob).raise_for_status()
    url = f"http://{host}/v2/{repository}/manifests/{tag}"
    httpx.put(url, content=manifest(layer), headers={"Content-Type": MANIFEST}).raise_for_status()


def _described(blob: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
