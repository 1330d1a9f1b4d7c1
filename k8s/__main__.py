"""`python -m k8s VERB`: release, canary, promote, abort, rollback, status, train, tune, manifests."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from k8s.cli import main

    sys.exit(main(sys.argv[1:]))
