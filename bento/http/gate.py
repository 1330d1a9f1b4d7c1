"""What a connection asks before it accepts a request: whether the queue has a free slot, and what to answer if not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set

from bento.errors import RequestError
from bento.http.connection.contracts import Quiet
from bento.http.connection.sweeper import Sweeper
from bento.http.cors import Origins
from bento.http.request import Headers
from bento.http.routes.route import Route
from bento.inference.admission import Admission
from bento.lifecycle import Lifecycle
from bento.settings import Settings


class AdmissionGate:
    """Answers for the whole service, whose connections all share it.

    Args:
        settings: the service's.
        admission: counts the queued images.
        lifecycle: knows whether the service takes requests.
        routes: those of the main port.
        version_header: goes into every answer.

    Attributes:
        receive_timeout: seconds that a head may take to arrive, a body may pause, and a client may read nothing.
        receive_rate: lowest rate of a body, in bytes per second, after that time.
        keep_alive: seconds that an idle connection stays open.
        origins: those whose pages may read an answer.
    """

    def __init__(
        self,
        settings: Settings,
        admission: Admission,
        lifecycle: Lifecycle,
        routes: Iterable[Route],
        version_header: tuple[bytes, bytes],
    ) -> None:
        self.receive_timeout = settings.receive_timeout
        self.receive_rate = settings.receive_rate
        self.keep_alive = settings.keep_alive
        self.origins = Origins(settings.cors_origins)
        self._management_port = settings.management_port
        self._version_header = version_header
        self._admission = admission
        self._lifecycle = lifecycle
        self._sweeper = Sweeper()
        self._early = {(route.method.encode(), route.path.encode()): route.path for route in routes if route.early}

    def common_headers(self, request: Headers) -> Headers:
        """Return what every answer to a request with these headers carries, besides its id."""
        return [self._version_header, *self.origins.headers(request)]

    def opened(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        """Count a new connection, one of `connections`, and watch all of them."""
        self._admission.connections += 1
        self._sweeper.watch(connections, loop)

    @property
    def closed(self) -> bool:
        """Whether the service only finishes what it has admitted."""
        return self._lifecycle.state == "closed"

    def is_management(self, server: tuple[str, int | None] | None) -> bool:
        """Tell whether an address of this server is the management port."""
        return self._management_port is not None and server is not None and server[1] == self._management_port

    def early_route(self, method: bytes, url: bytes) -> str | None:
        """Return the template of the route if the connection may refuse its requests before their bodies arrive."""
        return self._early.get((method, url.partition(b"?")[0]))

    def refuses_next(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether the queue has no place for a request that begins now.

        A service that isn't ready says so in its handlers, so nothing is refused here until it is.
        """
        return self._lifecycle.state == "ready" and self._admission.refuses_next(loop)

    def refusal(self) -> RequestError:
        """Return the answer to a request that was refused, and count it as shed."""
        return self._admission.refusal()
