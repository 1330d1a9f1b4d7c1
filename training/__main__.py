"""Run `python -m training`, whose commands train, evaluate, check and tune."""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    from training.cli import PROGRAM
    from training.distributed.supervisor import run

    code = run(PROGRAM.main, sys.argv[1:])
    # Or Python would search all objects of Keras and TensorFlow for garbage on exit, which takes two seconds and more.
    gc.freeze()
    sys.exit(code)
