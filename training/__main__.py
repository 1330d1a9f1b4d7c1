"""Run `python -m training`, whose commands train, evaluate, describe, check and tune."""

from __future__ import annotations

import gc
import signal
import sys

from commandline import protect

if __name__ == "__main__":
    protect()
    for stopping in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(stopping) != signal.SIG_IGN:  # as `nohup` leaves it
            signal.signal(stopping, signal.default_int_handler)
    from training.cli import PROGRAM
    from training.distributed.supervisor import run

    code = run(PROGRAM.main, sys.argv[1:])
    # Or Python would search all objects of Keras and TensorFlow for garbage on exit, which takes two seconds and more.
    gc.freeze()
    sys.exit(code)
