"""Run `python -m k8s VERB`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from k8s.cli import PROGRAM

    sys.exit(PROGRAM.main(sys.argv[1:]))
