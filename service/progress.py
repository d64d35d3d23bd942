"""What a person sees while the service starts: one line for each step, with a sign of life.

Where standard error is no terminal, the same as plain lines.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol


class Progress(Protocol):
    """Told what is being done."""

    def step(self, text: str) -> None:
        """The step before is done; this one begins."""

    def note(self, text: str) -> None:
        """Something to know, that stays on the screen."""

    def done(self) -> None:
        """The last step is done, and the screen is somebody else's until the next one."""


class _Lines:
    """Plain lines, for a log or a dumb terminal."""

    def step(self, text: str) -> None:
        self.note(text)

    def done(self) -> None:
        return

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201  this is what it is for


class _Live:
    """A spinner on the step at work, and a tick with the time it took on each that is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting", spinner="dots")
        self._text = ""
        self._since = time.monotonic()

    def step(self, text: str) -> None:
        self._done()
        self._text, self._since = text, time.monotonic()
        self._status.update(text)
        self._status.start()

    def note(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False)

    def done(self) -> None:
        self._status.stop()
        self._done()

    def give_up(self) -> None:
        self._status.stop()

    def _done(self) -> None:
        if self._text:
            took = time.monotonic() - self._since
            self._console.print(f"[green]✓[/] {self._text} [dim]{took:.1f} s[/]")
            self._text = ""


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Progress on standard error while the block runs."""
    if not fancy(sys.stderr.isatty()):
        yield _Lines()
        return
    live = _Live()
    try:
        yield live
    except BaseException:
        live.give_up()
        raise
    live.done()


def fancy(is_terminal: bool) -> bool:
    """Whether a terminal can move its cursor."""
    from service.settings import environment

    return is_terminal and environment().get("TERM", "dumb") != "dumb"
