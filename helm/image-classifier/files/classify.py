"""Program of `helm test`: python -c FILE URL SECONDS. Send the model's golden images and two invalid images."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

URL, SECONDS = sys.argv[1], float(sys.argv[2])
# The first folder holds a downloaded or mounted model, the second one the image's own model.
STORES = (Path("/bentoml/models"), Path(os.environ.get("BENTO_PATH", "/home/bentoml/bento")) / "models")


def ask(path: str, body: bytes | None = None) -> tuple[int, Message, bytes]:
    """Return status, headers and body of the answer. With `body` the request is a POST."""
    headers = {"Content-Type": "application/octet-stream", "X-API-Key": os.environ.get("API_KEYS", "").split(",")[0]}
    request = urllib.request.Request(URL + path, body, headers if body is not None else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def check(what: str, passed: object, found: object) -> None:
    """Print the result of a check, and exit if it failed."""
    sys.stdout.write(f"ok: {what}\n" if passed else f"FAILED: {what}: {found}\n")
    sys.stdout.flush()
    if not passed:
        sys.exit(1)


def is_ready() -> bool:
    """Return whether the service is ready. A Service without endpoints refuses the connection."""
    try:
        return ask("/readyz")[0] == 200
    except OSError:
        return False


def golden_folder(tag: str) -> Path | None:
    """Return the golden images of the model `tag`, or of any other model in the stores.

    A canary behind the same Service may have answered. Its model is not in this pod, but the server's model has the
    same classes.
    """
    folders = [store / tag.replace(":", "/") for store in STORES]
    folders += [folder for store in STORES for folder in store.glob("*/*")]
    return next((folder / "golden" for folder in folders if (folder / "golden/golden.json").exists()), None)


deadline = time.monotonic() + SECONDS
while not (ready := is_ready()) and time.monotonic() < deadline:
    time.sleep(0.5)
check(f"{URL} is ready", ready, f"/readyz did not return 200 within {SECONDS:g} s")

golden = golden_folder(json.loads(ask("/version")[2])["model"])
check("the model has golden images", golden, f"no golden.json in {' or '.join(map(str, STORES))}")
assert golden is not None

entries = json.loads((golden / "golden.json").read_text(encoding="utf-8"))
check("golden.json lists images", entries, entries)
for entry in entries:
    status, _, body = ask("/predict", (golden / entry["file"]).read_bytes())
    check(f"{entry['file']} is answered", status == 200, (status, body))
    answer = json.loads(body)
    check(f"{entry['file']} is {entry['class']!r}", answer["predicted_class"] == entry["class"], answer)

image = (golden / entries[0]["file"]).read_bytes()
for what, sent in (("half an image", image[: len(image) // 2]), ("plain text", b"not an image")):
    status, headers, body = ask("/predict", sent)
    is_problem = headers["Content-Type"] == "application/problem+json"
    check(f"{what} is refused with a 4xx and a reason", 400 <= status < 500 and is_problem, (status, body))

status, _, body = ask("/metrics")
check("/metrics counts requests", status == 200 and b"\nimage_classifier_requests_total{" in body, f"status {status}")
