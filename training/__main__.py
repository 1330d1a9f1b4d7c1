"""Run `python -m training`, whose commands train, evaluate, check and tune."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Without this, BentoML would report each stored model to its makers.
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    from training.cli import PROGRAM
    from training.distributed.supervisor import run

    sys.exit(run(PROGRAM.main, sys.argv[1:]))
