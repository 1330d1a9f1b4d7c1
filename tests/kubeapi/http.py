"""A threaded HTTP server and the base of its handlers."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """A server that ignores broken connections and reports every other error."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that keeps connections open and logs nothing."""

    protocol_version = "HTTP/1.1"
    # Head and body are written separately; with Nagle's algorithm each body would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass
