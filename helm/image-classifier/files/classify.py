"""helm test: python -c FILE URL SECONDS. Sends the served model's own golden images, and a broken one."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

URL, SECONDS = sys.argv[1], float(sys.argv[2])
# Where a fetched or mounted model is, and where the image keeps its own.
STORES = (Path("/bentoml/models"), Path(os.environ.get("BENTO_PATH", "/home/bentoml/bento")) / "models")


def ask(path, body=None):
    """Return status, headers and body; a body that goes out makes it a POST."""
    headers = {"Content-Type": "application/octet-stream", "X-API-Key": os.environ.get("API_KEYS", "").split(",")[0]}
    request = urllib.request.Request(URL + path, body, headers if body is not None else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def check(what, is_so, found):
    print(f"{'ok' if is_so else 'FAILED'}: {what}" + ("" if is_so else f": {found}"), flush=True)
    if not is_so:
        sys.exit(1)


def ready():
    try:
        return ask("/readyz")[0] == 200
    except OSError:
        return False


deadline = time.monotonic() + SECONDS
while not (up := ready()) and time.monotonic() < deadline:
    time.sleep(0.5)
check(f"{URL} is ready", up, f"not within {SECONDS:g} s")

tag = json.loads(ask("/version")[2])["model"]
# A canary behind the same Service may have answered, whose model isn't here; the server's has the same classes.
folders = [*(store / tag.replace(":", "/") for store in STORES), *(path for store in STORES for path in store.glob("*/*"))]
golden = next((folder / "golden" for folder in folders if (folder / "golden/golden.json").exists()), None)
check("golden images of the model are here", golden, f"none in {' or '.join(map(str, STORES))}")

entries = json.loads((golden / "golden.json").read_text(encoding="utf-8"))
check("there are golden images", entries, entries)
for entry in entries:
    status, headers, body = ask("/predict", (golden / entry["file"]).read_bytes())
    check(f"{entry['file']} is answered", status == 200, (status, body))
    answer = json.loads(body)
    check(f"{entry['file']} is {entry['class']!r}", answer["predicted_class"] == entry["class"], answer)

image = (golden / entries[0]["file"]).read_bytes()
for what, body in (("half an image", image[: len(image) // 2]), ("no image", b"not an image")):
    status, headers, answer = ask("/predict", body)
    is_problem = headers["Content-Type"] == "application/problem+json"
    check(f"{what} is refused with a 4xx and its reason", 400 <= status < 500 and is_problem, (status, answer))

status, _, metrics = ask("/metrics")
check("metrics are there", status == 200 and b"\nimage_classifier_requests_total{" in metrics, status)
