"""Settings for all tests."""

from __future__ import annotations

import signal

# A shell makes its background jobs ignore Ctrl-C, and their children inherit that. The tests send Ctrl-C to children.
signal.signal(signal.SIGINT, signal.default_int_handler)
