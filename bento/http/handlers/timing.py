"""The header `Server-Timing`: milliseconds of each stage of a request.

https://www.w3.org/TR/server-timing/
"""

from __future__ import annotations

from bento.http.request import Request
from bento.inference.work import Work

Header = tuple[bytes, bytes]


def server_timing(request: Request, work: Work | None) -> Header:
    """Return the header, and add the stages of the image's work to those of its request.

    Args:
        request: whose body has been received.
        work: the image's; None for an answer from the cache.
    """
    began, ended = request.stages["receive"]
    received = (ended - began) * 1e3
    if work is None:
        return b"server-timing", b"receive;dur=%.2f, cache" % received
    decode, inference = work.decode, work.inference
    request.stages |= {"decode": decode, "queue": (decode[1], inference[0]), "inference": inference}
    return b"server-timing", b"receive;dur=%.2f, decode;dur=%.2f, queue;dur=%.2f, inference;dur=%.2f" % (
        received,
        (decode[1] - decode[0]) * 1e3,
        work.waited * 1e3,
        (inference[1] - inference[0]) * 1e3,
    )


def add_stage(header: Header, request: Request, name: str, began: float, ended: float) -> Header:
    """Return the header with one more stage, and add it to those of the request; times by `time.perf_counter`."""
    request.stages[name] = (began, ended)
    return header[0], b"%b, %b;dur=%.2f" % (header[1], name.encode(), (ended - began) * 1e3)
