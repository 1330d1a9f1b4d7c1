"""From a request's path to its route, by a table that is resolved once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MethodType

from bento.http.handlers.probes import Probes
from bento.http.request import Answer, Request
from bento.http.routes.route import Handler, Route
from bento.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Target:
    """A route of one service.

    Attributes:
        path: the route's template.
        methods: that it answers.
        allow: these, as the header `Allow` lists them.
        key: it needs an API key if keys are configured.
        handler: answers a request.
    """

    path: str
    methods: tuple[str, ...]
    allow: bytes
    key: bool
    handler: Handler


class Router:
    """Finds the route of a request.

    Args:
        routes: the table.
        probes: handle the routes that take no image, and the files.
        files: paths of the files for browsers, which are in no table.
    """

    def __init__(self, routes: Iterable[Route], probes: Probes, files: Iterable[str] = ()) -> None:
        self._exact: dict[str, Target] = {path: _target(path, ("GET", "HEAD"), False, probes.file) for path in files}
        self._templates: list[tuple[re.Pattern[str], Target]] = []
        for route in routes:
            handler = _admitting(route, probes) if route.admission else MethodType(route.handler, probes)
            target = _target(route.path, route.methods, route.key, handler)
            if "{" in route.path:
                self._templates.append((re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)), target))
            else:
                self._exact[route.path] = target

    def find(self, request: Request) -> Target | None:
        """Return the route of the request's path, whose parameters the request gets; None without any."""
        path = request.scope["path"]
        target = self._exact.get(path)
        if target is not None:
            return target
        for template, target in self._templates:
            found = template.fullmatch(path)
            if found is not None:
                request.parameters = found.groupdict()
                return target
        return None


def _target(path: str, methods: tuple[str, ...], key: bool, handler: Handler) -> Target:
    return Target(path, methods, ", ".join(methods).encode(), key, handler)


def _admitting(route: Route, probes: Probes) -> Handler:
    """Return the handler of a route that takes images, which asks for room before the body is read."""
    handle, admit, in_flight = route.handler, probes.admit, metrics.in_flight

    async def handler(request: Request) -> Answer:
        predictor = admit()
        with in_flight.track_inprogress():
            return await handle(predictor, request)

    return handler
