"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell starts what it runs in the background deaf to Ctrl-C, which all children inherit. Those here are sent it.
signal.signal(signal.SIGINT, signal.default_int_handler)
