"""Check that memory, open files, threads and metric series stay flat while a server handles every kind of request.

    python -m benchmarks.soak [--minutes N] [--picture FILE] [--json FILE]

Several clients send mixed traffic: small, large and corrupt images, batches, tensors, clients that disconnect, scans of
random paths, and scrapes. The worker's resources are sampled. After the warm-up, the first fifth, a line through the
samples must not rise by more than TOLERANCE from its start to its end. Otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks import openloop
from tests.integration.conftest import Server, Store, serving
from tests.stored import CLASSES, SIZE, picture, write_entry
from training.report.pictures.style import library

WARM_UP = 0.2
CLIENTS = 8
PAUSE = 0.002
"""Mean seconds between an answer and the client's next request, which gives some load but no overload."""


@dataclass(frozen=True)
class Sample:
    """The worker's resources at one time, in seconds from the start."""

    seconds: float
    memory: float
    """Resident memory in MiB."""
    files: float
    threads: float
    series: float
    """Number of metric series in /metrics."""


QUANTITIES = ("memory", "files", "threads", "series")
TOLERANCE = {"memory": 0.02, "files": 8, "threads": 1, "series": 0.5}
"""Allowed rise: of memory as a share of its mean, of the others as a number, because open connections come and go.
Python collects the garbage of 30,000 batches, 2 MiB, all at once, possibly only after the ten minutes."""


@dataclass(frozen=True)
class Trend:
    """The rise of a quantity after the warm-up, by the least-squares line, and the rise that is allowed."""

    rise: float
    allowed: float
    mean: float

    @property
    def flat(self) -> bool:
        """Whether the rise is allowed; a fall always is."""
        return self.rise <= self.allowed


@dataclass(frozen=True)
class Soak:
    """The samples, and the numbers of right and wrong answers for each kind of request."""

    samples: list[Sample]
    right: Counter[str]
    wrong: Counter[str]

    @property
    def trends(self) -> dict[str, Trend]:
        """The trend of each quantity."""
        return {name: trend(self.samples, name) for name in QUANTITIES}

    @property
    def passed(self) -> bool:
        """Whether every quantity is flat and every answer was right."""
        return not self.wrong and all(trend.flat for trend in self.trends.values())


def main() -> None:
    """Run the soak test, draw it and print the verdict."""
    parser = argparse.ArgumentParser("python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="duration (10)")
    parser.add_argument(
        "--picture", type=Path, default=Path("runs/soak.png"), metavar="FILE", help="picture to write (runs/soak.png)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "home"))
        store.publish(write_entry(Path(folder, "entry")))
        # With a long deadline, other work on the machine isn't mistaken for an overload.
        with serving(store, ".", DEADLINE_MS="30000") as server:
            result = soak(server, 60 * options.minutes)
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    draw(result, options.picture)
    print(verdict(result), f"see {options.picture}", sep="\n")  # noqa: T201
    if options.json:
        trends = {name: asdict(found) for name, found in result.trends.items()}
        samples = [asdict(sample) for sample in result.samples]
        report = {"right": result.right, "wrong": result.wrong, "trends": trends, "samples": samples}
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if result.passed else 1)


def soak(server: Server, seconds: float) -> Soak:
    """Send requests to `server` for this many seconds, and sample its worker."""
    (process,) = psutil.Process(server.process.pid).children()
    _burst(server)
    started = time.monotonic()
    ended = threading.Event()
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    samples = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(_client, server, seed, ended, right, wrong) for seed in range(CLIENTS)]
        try:
            while (now := time.monotonic() - started) < seconds:
                samples.append(_sample(server, process, now))
                time.sleep(min(seconds / 50, 5))
        finally:
            ended.set()
        for client in clients:
            client.result()
    return Soak(samples, right, wrong)


def _burst(server: Server) -> None:
    """Make the server start all threads of its pools; it starts them when it first needs them all at once."""
    files = [("file", ("x", image)) for image in (*_LARGE.values(), *_SMALL["red"])]

    def post(_: int) -> int:
        return httpx.post(server.url + "/predict/batch", files=files, timeout=60).status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(post, range(60))) <= {200, 429}


def _sample(server: Server, process: psutil.Process, now: float) -> Sample:
    series = sum(not line.startswith("#") for line in server.get("/metrics").text.splitlines())
    memory = process.memory_info().rss / 2**20
    return Sample(now, memory, process.num_fds(), process.num_threads(), series)


def _client(server: Server, seed: int, ended: threading.Event, right: Counter[str], wrong: Counter[str]) -> None:
    rng = random.Random(seed)
    kinds = list(KINDS)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while not ended.wait(rng.expovariate(1 / PAUSE)):
            # Each kind is sent early, so that none creates its first metric series after the warm-up.
            kind = kinds.pop() if kinds else rng.choices(list(KINDS), WEIGHTS)[0]
            (right if KINDS[kind](client, rng) else wrong)[kind] += 1


_SMALL = {colour: [picture(colour, format_) for format_ in ("JPEG", "PNG", "WEBP", "BMP")] for colour in CLASSES}
_LARGE = {colour: picture(colour, "JPEG", (3000, 2000)) for colour in CLASSES}


def _small(client: httpx.Client, rng: random.Random) -> bool:
    colour = rng.choice(CLASSES)
    answer = client.post("/predict", files={"file": ("x", rng.choice(_SMALL[colour]))})
    return answer.status_code == 200 and answer.json()["predicted_class"] == colour


def _large(client: httpx.Client, rng: random.Random) -> bool:
    colour = rng.choice(CLASSES)
    answer = client.post("/predict?top_k=2", content=_LARGE[colour], headers={"content-type": "image/jpeg"})
    return answer.status_code == 200 and answer.json()["top_k"][0]["class"] == colour


def _corrupt(client: httpx.Client, rng: random.Random) -> bool:
    image = rng.choice(_SMALL["red"][:2])
    cut = image[: rng.randrange(1, len(image) // 2)]
    return client.post("/predict", files={"file": ("x", cut)}).status_code in (415, 422)


def _batch(client: httpx.Client, rng: random.Random) -> bool:
    colours = [rng.choice(CLASSES) for _ in range(rng.randint(1, 12))]
    files = [("file", ("x", rng.choice(_SMALL[colour]))) for colour in colours]
    answer = client.post("/predict/batch", files=files)
    return answer.status_code == 200 and [entry["predicted_class"] for entry in answer.json()] == colours


def _tensor(client: httpx.Client, rng: random.Random) -> bool:
    best = rng.randrange(3)
    pixels = np.zeros((1, SIZE, SIZE, 3), int)
    pixels[..., best] = 200
    image = {"name": "image", "shape": list(pixels.shape), "datatype": "UINT8", "data": pixels.ravel().tolist()}
    answer = client.post("/v2/models/image_classifier/infer", json={"inputs": [image]})
    outputs = {output["name"]: output for output in answer.json().get("outputs", [])}
    return answer.status_code == 200 and int(np.argmax(outputs["probabilities"]["data"])) == best


def _leaving(client: httpx.Client, rng: random.Random) -> bool:
    request = openloop.post("/predict", rng.choice([*_SMALL["red"], _LARGE["red"]]))
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(request[: rng.randrange(1, len(request) + 1)])
    return True


def _scan(client: httpx.Client, rng: random.Random) -> bool:
    path = f"/{rng.getrandbits(64):x}/{rng.choice(['', '.env', 'v2/models', 'predict'])}"
    method = rng.choice(["GET", "POST", "PUT", "DELETE", f"X{rng.getrandbits(32):X}"])
    # A request with an unknown method isn't an HTTP request.
    return client.request(method, path).status_code == (400 if method.startswith("X") else 404)


def _scrape(client: httpx.Client, rng: random.Random) -> bool:
    return client.get(rng.choice(["/metrics", "/livez", "/readyz", "/version", "/openapi.json"])).status_code == 200


KINDS: dict[str, Callable[[httpx.Client, random.Random], bool]] = {
    "small": _small,
    "large": _large,
    "corrupt": _corrupt,
    "batch": _batch,
    "tensor": _tensor,
    "leaving": _leaving,
    "scan": _scan,
    "scrape": _scrape,
}
WEIGHTS = (40, 5, 10, 10, 10, 10, 10, 5)


def trend(samples: list[Sample], name: str) -> Trend:
    """Fit a line to the samples of a quantity after the warm-up."""
    warm = [sample for sample in samples if sample.seconds >= WARM_UP * samples[-1].seconds]
    seconds = np.array([sample.seconds for sample in warm])
    values = np.array([getattr(sample, name) for sample in warm])
    slope = float(np.polyfit(seconds - seconds.mean(), values, 1)[0])
    mean = float(values.mean())
    return Trend(slope * (seconds[-1] - seconds[0]), TOLERANCE[name] * (mean if name == "memory" else 1), mean)


def verdict(result: Soak) -> str:
    """Return the result as text."""
    minutes = result.samples[-1].seconds / 60
    lines = [f"{result.right.total():,} requests in {minutes:.1f} min: " + str(dict(result.right.most_common()))]
    if result.wrong:
        lines.append(f"WRONG ANSWERS: {dict(result.wrong)}")
    for name, found in result.trends.items():
        word = "flat" if found.flat else "RISING"
        lines.append(f"{name:8} mean {found.mean:8.1f}  rise {found.rise:+7.2f} (allowed {found.allowed:.2f})  {word}")
    return "\n".join([*lines, "passed" if result.passed else "FAILED"])


def draw(result: Soak, path: Path) -> None:
    """Write a picture of the quantities over time, with their lines."""
    library()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout="constrained")
    minutes = np.array([sample.seconds for sample in result.samples]) / 60
    titles = {"memory": "resident memory (MiB)", "files": "open files", "threads": "threads", "series": "metric series"}
    for axes, (name, found) in zip(figure.subplots(4, 1, sharex=True), result.trends.items(), strict=True):
        values = [getattr(sample, name) for sample in result.samples]
        axes.plot(minutes, values, linewidth=1)
        begin = WARM_UP * minutes[-1]
        axes.plot([begin, minutes[-1]], [found.mean - found.rise / 2, found.mean + found.rise / 2], linestyle="--")
        axes.axvspan(0, begin, alpha=0.1)
        low, high = min(values), max(values)
        room = max(found.allowed, 0.2 * (high - low))
        axes.set_ylim(low - room, high + room)
        axes.set_title(f"{titles[name]}: {found.rise:+.2f}, allowed {found.allowed:.2f}", fontsize=10)
    axes.set_xlabel("minutes (shaded: warm-up)")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
