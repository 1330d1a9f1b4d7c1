"""Program of `helm test`: python -c FILE URL MANAGEMENT-URL SECONDS. Send golden images and two invalid images."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

BENTO = Path(os.environ.get("BENTO_PATH", "/home/bentoml/bento"))
# The working directory of an image that `bentoml containerize` built is not the folder of its code.
sys.path.append(str(BENTO / "src"))
try:
    from model_format import golden
    from model_format.layout import GOLDEN_INDEX
except ImportError:
    sys.exit("FAILED: the image is older than this chart; upgrade the image, or use the chart of its version")

URL, MANAGEMENT, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
# The first folder holds a downloaded or mounted model, the second one the image's own model.
STORES = (Path("/bentoml/models"), BENTO / "models")


def ask(path: str, body: bytes | None = None, url: str = URL) -> tuple[int, Message, bytes]:
    """Return status, headers and body of the answer. With `body` the request is a POST."""
    headers = {"Content-Type": "application/octet-stream", "X-API-Key": os.environ.get("API_KEYS", "").split(",")[0]}
    request = urllib.request.Request(url + path, body, headers if body is not None else {})
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
    """Return whether a pod is ready, and the Service leads to one. Without endpoints it refuses the connection."""
    try:
        return ask("/readyz", url=MANAGEMENT)[0] == 200 and ask("/predict")[0] == 405
    except OSError:
        return False


def golden_folder(tag: str) -> Path | None:
    """Return the golden images of the model `tag`, or of any other model in the stores.

    A canary behind the same Service may have answered. Its model is not in this pod, but the server's model has the
    same classes.
    """
    folders = [store / tag.replace(":", "/") for store in STORES]
    folders += [folder for store in STORES for folder in store.glob("*/*")]
    return next((golden.folder_of(folder) for folder in folders if golden.is_in(folder)), None)


deadline = time.monotonic() + SECONDS
while not (ready := is_ready()) and time.monotonic() < deadline:
    time.sleep(0.5)
check(f"{URL} is ready", ready, f"{MANAGEMENT}/readyz did not return 200 within {SECONDS:g} s")

folder = golden_folder(ask("/predict")[1]["X-Model-Version"])
check("the model has golden images", folder, f"no {GOLDEN_INDEX} in {' or '.join(map(str, STORES))}")
assert folder is not None

examples = golden.read(folder)
check(f"{GOLDEN_INDEX} lists images", examples, examples)
for example in examples:
    status, _, body = ask("/predict", example.image)
    check(f"{example.file} is answered", status == 200, (status, body))
    answer = json.loads(body)
    check(f"{example.file} is {example.class_name!r}", answer["predicted_class"] == example.class_name, answer)

image = examples[0].image
for what, sent in (("half an image", image[: len(image) // 2]), ("plain text", b"not an image")):
    status, headers, body = ask("/predict", sent)
    is_problem = headers["Content-Type"] == "application/problem+json"
    check(f"{what} is refused with a 4xx and a reason", 400 <= status < 500 and is_problem, (status, body))

status, _, body = ask("/metrics", url=MANAGEMENT)
check("/metrics counts requests", status == 200 and b"\nimage_classifier_requests_total{" in body, f"status {status}")
