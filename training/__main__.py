"""`python -m training`: train on a folder of images. `evaluate`: test a stored model; `tune`: search options."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # else each stored model is reported to its makers
    from training.cli import main
    from training.distributed.supervisor import run

    sys.exit(run(main, sys.argv[1:]))
