"""Fetch an exported model into a model store: `python -m bento.fetch URL --sha256 HEX --into $BENTOML_HOME`.

An init container runs this before a server whose MODEL_TAG isn't in its image. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import NoReturn

from bento.fetch import archive, remote, store

EXIT_CODES: dict[type[Exception], int] = {remote.RemoteError: 3, archive.ArchiveError: 4, store.StoreError: 5}
"""argparse exits with 2. Only after 3 can another try succeed."""


class _Parser(argparse.ArgumentParser):
    """Errors in the form of the package `commandline`, which the images that fetch a model may lack."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise argparse.ArgumentTypeError("a SHA-256 has 64 hexadecimal digits")
    return value.lower()


def _url(value: str) -> str:
    if not re.match(r"(https?|oci)://[^/\s]+/\S+$", value):
        raise argparse.ArgumentTypeError("not http://..., https://... or oci://HOST/REPOSITORY:TAG")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _Parser(prog="python -m bento.fetch", description="Fetch an exported model into a model store.")
    parser.add_argument("url", type=_url, metavar="URL", help="URL of an archive that `bentoml models export` wrote")
    parser.add_argument("--sha256", type=_sha256, required=True, metavar="HEX", help="SHA-256 of that archive")
    parser.add_argument(
        "--into", type=Path, required=True, metavar="DIR", help="folder with the model store: the server's BENTOML_HOME"
    )
    parser.add_argument(
        "--plain-http", action="store_true", help="connect to the registry of an oci:// URL by HTTP, without TLS"
    )
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=store.MAX_BYTES,
        metavar="N",
        help="maximum size of the archive in bytes, packed or unpacked (default: 2 GiB)",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    home = options.into.absolute()
    try:
        tag, fetched = store.fetch(
            options.url, options.sha256, home, plain_http=options.plain_http, max_bytes=options.max_bytes
        )
    except tuple(EXIT_CODES) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{tag} {'fetched' if fetched else 'is there already'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
