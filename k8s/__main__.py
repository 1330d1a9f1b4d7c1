"""Run `python -m k8s VERB`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from commandline import protect
    from k8s.cli import PROGRAM

    protect()
    sys.exit(PROGRAM.main(sys.argv[1:]))
