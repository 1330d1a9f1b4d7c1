"""Threads that parse what clients send, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ParsingThreads:
    """Two threads: a hostile form or tensor takes a second to parse, and holds Python's lock meanwhile.

    More threads would leave the event loop hardly any share of that lock.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="parse")

    async def run(self, parser: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Call `parser` in one of the threads; return what it returns and raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, parser, *arguments)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._pool.shutdown(wait=False)
