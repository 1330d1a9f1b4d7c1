"""Sum the comparison up in figures, each with its goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.servers.lag import Lag


class Measured(Protocol):
    """A row of `benchmarks.serving`."""

    @property
    def contender(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def clients(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def ceiling(self) -> float: ...
    @property
    def cpu(self) -> float: ...
    @property
    def p50(self) -> float: ...
    @property
    def p99(self) -> float: ...
    @property
    def max(self) -> float: ...
    @property
    def lag(self) -> Lag | None: ...


@dataclass(frozen=True)
class Figure:
    """A measured figure and its bound, a minimum or a maximum."""

    name: str
    measured: float
    wanted: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    def __str__(self) -> str:
        bound = f"{'>=' if self.at_least else '<='} {self.wanted:g}"
        return f"{'yes' if self.holds else 'NO ':3}  {self.name:74} {self.measured:8.2f}  wanted {bound}"


def verdict(rows: Sequence[Measured], plain_photos: float) -> list[Figure]:
    """Return all figures; `plain_photos` is the rate of photos that are decoded at full size without a server."""

    def row(contender: str, clients: int, model: str = "cnn", image: str = "small") -> Measured:
        wanted = (contender, clients, model, image)
        return next(r for r in rows if (r.contender, r.clients, r.model, r.image) == wanted)

    fp32, lone = row("ours, fp32", 16), row("ours, fp32", 1)
    share = fp32.rate / fp32.ceiling

    def faster(than: str) -> float:
        # Each rate is compared with the ceiling measured at the same time.
        peer = row(than, 16)
        return share / (peer.rate / peer.ceiling)

    def lighter(than: str) -> float:
        # The ceiling's cost is subtracted, so the speed of the model itself doesn't matter.
        peer = row(than, 16)
        return (peer.cpu - 1 / peer.ceiling) / max(1e-6, fp32.cpu - 1 / fp32.ceiling)

    int8, photo, resnet = row("ours, int8", 16), row("ours, fp32", 16, image="photo"), row("ours, fp32", 16, "resnet50")
    assert resnet.lag is not None
    batched, single = (row(f"ours, MAX_BATCH_SIZE={n}", 64, "10ms/call") for n in (32, 1))
    batched_lone, single_lone = (row(f"ours, MAX_BATCH_SIZE={n}", 1, "10ms/call") for n in (32, 1))
    return [
        Figure("ours fp32 / ceiling, 16 clients", share, 0.75),
        Figure("ours fp32 / LitServe, 16 clients", faster("LitServe"), 3),
        Figure("ours fp32 / BentoML with a PIL image, 16 clients", faster("BentoML, PIL image"), 4),
        Figure("ours fp32 / BentoML's batching, 16 clients", faster("BentoML, two services, batching"), 4),
        Figure("ours fp32 / Flask + model.predict, 16 clients", faster("Flask + model.predict"), 80),
        Figure("CPU outside decoding and model, LitServe / ours, 16 clients", lighter("LitServe"), 4),
        Figure(
            "CPU outside decoding and model, BentoML with a PIL image / ours, 16 clients",
            lighter("BentoML, PIL image"),
            4,
        ),
        Figure("ours int8 / ours fp32, 16 clients", int8.rate / int8.ceiling / share, 1.4),
        Figure("p50 of one client above the ceiling's cost, ms", 1e3 * (lone.p50 - 1 / lone.ceiling), 0.5, False),
        Figure("p99 / p50, 16 clients", fp32.p99 / fp32.p50, 5, False),
        Figure("slowest answer to one client, ms (garbage collection included)", 1e3 * lone.max, 30, False),
        Figure("photos of 12 megapixels, ours / full-size decode without a server", photo.rate / plain_photos, 3),
        Figure("ResNet-50, ours / ceiling, 16 clients", resnet.rate / resnet.ceiling, 0.95),
        Figure("ResNet-50, longest delay of /livez by the event loop, 16 clients, ms", 1e3 * resnet.lag.loop, 5, False),
        Figure("10 ms per call, batches up to 32 / single, 64 clients", batched.rate / single.rate, 3.5),
        Figure("10 ms per call, p99 of batches / of single, 64 clients", batched.p99 / single.p99, 1, False),
        Figure(
            "10 ms per call, p50 of batches / of single, one client", batched_lone.p50 / single_lone.p50, 1.05, False
        ),
    ]
