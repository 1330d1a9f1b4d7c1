"""Measure a stored model on this machine and print the settings that keep a p99."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from bento.cpus import available_cpus
from bento.inference.cost import CostCurve
from bento.inference.warmup import INLINE_BELOW, golden_pixels, measure
from bento.models import model, runtime
from bento.models.model import ServedModel
from model_format.layout import FILES

NAME = "image_classifier"

_USABLE = 0.8
"""Share of the target for decoding and the model. The rest is for HTTP and for other processes on the machine."""


@dataclass(frozen=True)
class Recommendation:
    """Settings by name, and the rate in images per second that they allow."""

    settings: dict[str, str]
    rate: float


def recommend(cost: CostCurve, decode_seconds: float, target: float, most: int, inline: bool) -> Recommendation | None:
    """Return the settings under which an accepted image is answered within the target.

    Args:
        cost: of the model.
        decode_seconds: seconds to decode one image.
        target: the 99th percentile to keep, in seconds.
        most: largest number of images per call.
        inline: whether images are classified on the event loop.

    Returns:
        None if not even a lone image is answered in time.
    """
    usable = _USABLE * target - decode_seconds
    # In the worst case a call has just begun, and the image waits for that call and its own.
    # The event loop takes all images that fit into an iteration, as it can answer none before the iteration ends.
    largest = most if inline else cost.best_size(most)
    fitting = [size for size in range(1, largest + 1) if 2 * cost.seconds(size) <= usable]
    if not fitting:
        return None
    size = fitting[-1]
    call = cost.seconds(size)
    spare = usable - 2 * call
    # On the event loop, decoding and the model share the time.
    rate = size / (call + (size * decode_seconds if inline else 0))
    chosen = {
        "MAX_BATCH_SIZE": str(size),
        "MAX_WAIT_MS": f"{1e3 * min(cost.line[1], spare, 0.005):.2g}" if size > 1 and not inline else "0",
        "QUEUE_LIMIT": str(max(size, int((usable - call) * rate))),
        "DEADLINE_MS": f"{1e3 * target:.0f}",
        "EXECUTION": "inline" if inline else "threads",
    }
    return Recommendation(chosen, rate)


def _table(cost: CostCurve, most: int) -> str:
    sizes = sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})
    lines = ["images per call   ms per call   ms per image   images/s"]
    for n in sizes:
        seconds = cost.seconds(n)
        lines.append(f"{n:15}   {1e3 * seconds:11.2f}   {1e3 * seconds / n:12.2f}   {n / seconds:8.0f}")
    return "\n".join(lines)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bento.recommend", description=__doc__)
    parser.add_argument("--tag", help="model to measure, as NAME:VERSION (default: the newest)")
    parser.add_argument("--runtime", choices=FILES, help="form of the model (default: the service's choice)")
    parser.add_argument(
        "--p99-ms",
        type=float,
        default=100,
        metavar="MS",
        help="99th percentile of the latency to keep, in milliseconds (default: 100)",
    )
    parser.add_argument(
        "--max-batch-size", type=int, default=32, metavar="N", help="largest batch to consider, in images (default: 32)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=available_cpus(),
        metavar="N",
        help="threads of the model, as the setting THREADS (default: the CPU limit)",
    )
    parsed = parser.parse_args(arguments)
    if parsed.p99_ms <= 0 or not 1 <= parsed.max_batch_size <= 1024 or not 1 <= parsed.threads <= 256:
        parser.error("--p99-ms must be above 0, --max-batch-size in 1..1024, --threads in 1..256")
    return parsed


def _measured(served: ServedModel, most: int, threads: int) -> tuple[CostCurve, float, bool]:
    image, decode_seconds = golden_pixels(served.golden_images, served.image_size, served.resize)
    cost = measure(runtime.load(served.runtime, served.path, 1), image, most)
    inline = decode_seconds + cost.seconds(1) < INLINE_BELOW
    if not inline and threads > 1:
        cost = measure(runtime.load(served.runtime, served.path, threads), image, most)
    return cost, decode_seconds, inline


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _arguments(arguments)
    try:
        served = model.find(NAME, options.tag, options.runtime)
        cost, decode_seconds, inline = _measured(served, options.max_batch_size, options.threads)
    except model.ModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except Exception as error:  # a damaged file makes decoders and runtimes raise anything
        sys.stderr.write(f"error: {served.tag} can't be measured: {' '.join(str(error).split())}\n")
        return 1
    target = options.p99_ms / 1e3
    found = recommend(cost, decode_seconds, target, options.max_batch_size, inline)
    write = sys.stdout.write
    a, b = cost.line
    threads = 1 if inline else options.threads
    write(f"{served.tag} by {served.runtime}, {threads} thread{'s' if threads > 1 else ''} per call\n")
    write(f"decoding takes {1e3 * decode_seconds:.2f} ms per image; ")
    write(f"a call of n images takes {1e3 * a:.3f} n + {1e3 * b:.3f} ms\n\n")
    write(_table(cost, options.max_batch_size) + "\n\n")
    if found is None:
        least = (2 * cost.seconds(1) + decode_seconds) / _USABLE
        sys.stderr.write(
            f"error: no settings reach {options.p99_ms:g} ms; this machine needs at least {1e3 * least:.2g} ms; "
            "use more CPUs, RUNTIME=onnx-int8 or a smaller model\n"
        )
        return 1
    write(f"# p99 within {options.p99_ms:g} ms; decoding and the model allow {found.rate:.0f} images/s\n")
    write("".join(f"{name}={value}\n" for name, value in found.settings.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
