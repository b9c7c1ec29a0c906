"""What a person sees while the story runs: a progress lane per consignment and one live event line.

On a terminal it is drawn by Rich; elsewhere each event is one plain line on standard error, so that
logs and pipes stay readable. Standard output is left to the final table or to ``--json``.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol

from testnet.words import word

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress, TaskID

LANES: Final = ("A", "B", "C")


class Screen(Protocol):
    """Where the story is told."""

    def plan(self, lane: str, steps: int) -> None:
        """A lane will take `steps` more steps."""

    def step(self, lane: str) -> None:
        """One step of a lane is done."""

    def say(self, key: str, **values: object) -> None:
        """One event, by its key in `testnet.words`."""

    def close(self) -> None:
        """The story is over."""


class PlainScreen:
    """One line per event on standard error; silent when `quiet`."""

    def __init__(self, lang: str, quiet: bool = False) -> None:
        self._lang = lang
        self._quiet = quiet
        self._begin = time.monotonic()

    def plan(self, lane: str, steps: int) -> None:
        """Lanes are not drawn here."""

    def step(self, lane: str) -> None:
        """Lanes are not drawn here."""

    def say(self, key: str, **values: object) -> None:
        """Writes the seconds since the start and the event."""
        if not self._quiet:
            seconds = time.monotonic() - self._begin
            sys.stderr.write(f"{seconds:6.1f}  {word(key, self._lang, **values)}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Nothing is held open."""


class LiveScreen:
    """Three progress lanes and the latest events, redrawn in place."""

    def __init__(self, lang: str, kept_events: int = 8) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._lang = lang
        self._begin = time.monotonic()
        self._kept = kept_events
        self._events: list[str] = []
        self._progress: Progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=40), MofNCompleteColumn()
        )
        self._tasks: dict[str, TaskID] = {
            lane: self._progress.add_task(word(f"lane_{lane.lower()}", lang), total=0)
            for lane in LANES
        }
        self._live: Live = Live(
            console=Console(stderr=True), refresh_per_second=8, get_renderable=self._drawn
        )
        self._live.start()

    def plan(self, lane: str, steps: int) -> None:
        """Adds to the lane's total."""
        task = self._progress.tasks[self._tasks[lane]]
        self._progress.update(task.id, total=(task.total or 0) + steps)

    def step(self, lane: str) -> None:
        """Moves the lane on by one."""
        self._progress.advance(self._tasks[lane])

    def say(self, key: str, **values: object) -> None:
        """Shows the event below the lanes, dropping the oldest."""
        seconds = time.monotonic() - self._begin
        self._events.append(f"{seconds:6.1f}  {word(key, self._lang, **values)}")
        del self._events[: -self._kept]

    def close(self) -> None:
        """Leaves the last picture standing."""
        self._live.stop()

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(line, style="dim", overflow="ellipsis") for line in self._events]
        if lines:
            lines[-1].stylize("not dim bold")
        return Group(self._progress, *lines)


def screen(lang: str, *, quiet: bool) -> Screen:
    """A live screen on a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet or not sys.stderr.isatty():
        return PlainScreen(lang, quiet)
    return LiveScreen(lang)
