"""The life cycle of the service: loading, ready, draining, closed. It decides which requests are accepted."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from typing import Literal

from bento.errors import RequestError
from bento.telemetry import metrics

logger = logging.getLogger("image_classifier")


class Lifecycle:
    """The state of the service.

    Attributes:
        state: `draining` still accepts requests, but fails `/readyz` so that clients stop sending; `closed` answers
            only the requests that it has accepted.
    """

    def __init__(self, drain_delay: float) -> None:
        self.state: Literal["loading", "ready", "draining", "closed"] = "loading"
        self._drain_delay = drain_delay
        self._exit: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ready(self) -> None:
        """Start to accept requests."""
        if self.state == "loading":
            self.state = "ready"
            metrics.ready.set(1)

    def refusal(self) -> RequestError | None:
        """Return why no request is accepted, or None."""
        if self.state == "loading":
            return RequestError("not_ready", "the model is still loading")
        if self.state == "closed":
            metrics.shed.labels("draining").inc()
            return RequestError("draining", "the server is shutting down")
        return None

    def unready(self) -> RequestError | None:
        """Return why clients shouldn't send requests, or None."""
        return RequestError("draining", "the server is shutting down") if self.state == "draining" else self.refusal()

    def drain_on_sigterm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Put the drain delay between SIGTERM and uvicorn's `Server.handle_exit`, which closes the listener."""
        handler = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(handler):
            return
        self._exit = lambda: handler(signal.SIGTERM, None)
        loop.add_signal_handler(signal.SIGTERM, self._drain, loop)

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        first = self._timer is None
        metrics.ready.set(0)
        if first and self.state == "ready" and self._drain_delay:
            logger.info("SIGTERM: draining for %g s", self._drain_delay)
            self.state = "draining"
            self._timer = loop.call_later(self._drain_delay, self._close)
        else:
            # This is the second signal, or there is nothing to drain.
            self._close()

    def _close(self) -> None:
        if self.state == "closed":
            # The HTTP server raises the signal again when it is done.
            return
        logger.info("closing")
        self.state = "closed"
        if self._timer is not None:
            self._timer.cancel()
        if self._exit is not None:
            self._exit()
