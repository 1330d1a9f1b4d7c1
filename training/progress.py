"""Show the progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
"""Progress goes to stderr, because stdout is for a command's result."""


class ConsoleHandler(logging.Handler):
    """Show log records on `console`, above the current bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message unchanged; warnings and errors in yellow."""
        console.print(self.format(record), style="yellow" if record.levelno > logging.INFO else None, markup=False)


class Bar:
    """A progress bar over `total` items, followed by a note."""

    def __init__(self, label: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=total, note="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self, items: int) -> None:
        """Count `items` more as done."""
        self._progress.advance(self._task, items)

    def show(self, done: int, note: str) -> None:
        """Set the total number of items done, and the note."""
        self._progress.update(self._task, completed=done, note=note)
