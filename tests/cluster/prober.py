"""Send requests through the gateway on a schedule and check each answer. Never wait for an answer, never retry.

Latency counts from the time when a request was due, so a stalled client can't hide a stalled service.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp

# Longer than the service's own deadline plus any queue before it: a request that takes longer is lost.
PATIENCE = 10.0

Rate = Callable[[float], float]
"""Requests per second, as a function of the seconds since the probe began."""


@dataclass(frozen=True)
class Request:
    """A request; times are in seconds since the probe began. `status` 0 means no answer, and `detail` says why."""

    due: float
    sent: float
    answered: float
    status: int
    detail: str
    version: str
    retry_after: str = ""


@dataclass
class Verdict:
    requests: list[Request] = field(default_factory=list)

    @property
    def failures(self) -> list[Request]:
        return [request for request in self.requests if request.detail]

    @property
    def versions(self) -> list[tuple[float, str]]:
        """Each model version that answered and when it began to, in the order of the answers."""
        answered = sorted((request for request in self.requests if request.version), key=lambda each: each.answered)
        groups = itertools.groupby(answered, key=lambda each: each.version)
        return [(next(group).answered, version) for version, group in groups]

    def answered(self, status: int) -> list[Request]:
        return [request for request in self.requests if request.status == status]

    def latency(self, fraction: float) -> float:
        """Return a quantile of the latency of the answered requests, in seconds."""
        taken = sorted(request.answered - request.due for request in self.requests if request.status)
        return taken[min(len(taken) - 1, int(len(taken) * fraction))]

    def __str__(self) -> str:
        lines = [f"{len(self.requests)} requests, {len(self.failures)} failed"]
        if self.requests:
            lines.append(f"p50 {self.latency(0.5) * 1e3:.0f} ms, p99 {self.latency(0.99) * 1e3:.0f} ms")
        lines += [f"at {at:.1f} s {version}" for at, version in self.versions[:20]]
        lines += [f"failed: {failure}" for failure in self.failures[:10]]
        return "\n".join(lines)


class Probe:
    """Send from the beginning of a `with` block to its end; `verdict` is complete after that."""

    def __init__(self, url: str, *, host: str, image: bytes, expected: str, rate: float | Rate) -> None:
        self.verdict = Verdict()
        self._url, self._host, self._image, self._expected = url, host, image, expected
        self._rate = rate if callable(rate) else lambda _: rate
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="probe")

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        if self._failed:
            raise self._failed

    def until(self, requests: int) -> None:
        """Return once this many requests are answered or lost."""
        while len(self.verdict.requests) < requests:
            assert self._thread.is_alive(), "the probe ended"
            time.sleep(0.1)

    def _due(self) -> Iterator[float]:
        due = 0.0
        while True:
            yield due
            due += 1 / self._rate(due)

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as error:
            self._failed = error

    async def _send(self) -> None:
        # Open as many connections as there are requests in flight, and reuse idle ones.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            begin = time.monotonic()
            in_flight: set[asyncio.Task[None]] = set()
            for due in self._due():
                await asyncio.sleep(max(0.0, begin + due - time.monotonic()))
                if self._stop.is_set():
                    break
                task = asyncio.create_task(self._ask(session, begin, due))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
            await asyncio.gather(*in_flight)

    async def _ask(self, session: aiohttp.ClientSession, begin: float, due: float) -> None:
        sent = time.monotonic() - begin
        status, detail, version, retry_after = 0, "", "", ""
        form = aiohttp.FormData()
        form.add_field("file", self._image, filename="image.jpg", content_type="image/jpeg")
        try:
            async with session.post(self._url, data=form, headers={"Host": self._host}) as response:
                status = response.status
                body = await response.read()
                version = response.headers.get("X-Model-Version", "")
                retry_after = response.headers.get("Retry-After", "")
                detail = self._fault(status, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            detail = repr(error)
        answered = time.monotonic() - begin
        self.verdict.requests.append(Request(due, sent, answered, status, detail, version, retry_after))

    def _fault(self, status: int, body: bytes) -> str:
        """Return what is wrong with an answer, or an empty string."""
        if status != 200:
            return f"{status}: {body[:200].decode(errors='replace')}"
        predicted = json.loads(body)["predicted_class"]
        return "" if predicted == self._expected else f"{predicted} instead of {self._expected}"
