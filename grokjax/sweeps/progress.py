"""What a user sees while a sweep runs: a bar on a terminal and in a notebook, a line every so often elsewhere."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from grokjax.messages import STANDARD_ERROR, say
from grokjax.results import replace_file
from grokjax.sweeps.lanes import Live

LINE_SECONDS = 15.0
"""Time between two lines where there is no bar."""

CELL_SECONDS = 0.2
"""Time between two pictures of the bar in a notebook, each of which is a message to the browser."""

FILE_SECONDS = 2.0
"""Time between two times that a share says in its file how far it is, or that somebody looks."""

COUNT_SECONDS = 3.0
"""Time between two lines of what comes before training."""


class Counted:
    """Items that tell how many of them have been gone through, every few seconds.

    Args:
      items: to iterate over, again where they can be.
      number: of them.
      doing: what is done with them, such as 'laying out runs'.
      tell: is given each line.
    """

    def __init__(self, items: Iterable, number: int, doing: str, tell: Callable[[str], None]):
        self.items, self.number, self.doing, self.tell = items, number, doing, tell

    def __len__(self):
        return self.number

    def __iter__(self) -> Iterator[Any]:
        last = time.monotonic()
        for done, item in enumerate(self.items):
            yield item
            if time.monotonic() - last > COUNT_SECONDS:
                last = time.monotonic()
                self.tell(f"{self.doing}: {done + 1:,} of {self.number:,}")


class Counts(NamedTuple):
    """How far a share of a sweep is, as it says in a small file beside its part.

    Attributes:
      ended: runs of the share that have ended, whoever trained them.
      left: run-steps that the others may still take.
      skipped: run-steps that runs which ended early did not take.
      memorised, generalised: runs that have been seen to reach 99 % on the training and on the validation rows.
    """

    ended: int = 0
    left: int = 0
    skipped: int = 0
    memorised: int = 0
    generalised: int = 0

    @staticmethod
    def beside(part: Path) -> Path:
        """The file of a share, by the path of its part."""
        return part.with_suffix(".json")

    @classmethod
    def read(cls, path: Path) -> "Counts | None":
        """What a share says; None before it has begun."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Writes them, whole or not at all; ResultError if they cannot be written."""
        text = json.dumps(self._asdict())
        replace_file(path, lambda stream: stream.write(text.encode()))


def harmless(show: Callable) -> Callable:
    """A method of `Meter` that raises nothing: if it fails, no more is shown, and training goes on."""

    @functools.wraps(show)
    def wrapper(meter, *arguments):
        try:
            return show(meter, *arguments)
        except Exception as error:
            if meter.shows:
                say(f"Progress is no longer shown, for showing it failed ({type(error).__name__}: {error}).")
            meter.shows, meter.bar = False, None

    return wrapper


class CellBar:
    """A bar in the output of a notebook's cell.

    Rich redraws a live display in a notebook by ipywidgets. This draws the same bar by Jupyter's own display protocol,
    which every front end has and which a saved notebook keeps.

    Args:
      bar: what is drawn.
    """

    def __init__(self, bar: Progress):
        self.bar, self.last, self.handle = bar, 0.0, None

    def start(self) -> None:
        """Draws it for the first time."""
        from IPython.display import display  # a notebook's kernel has it

        self.last, self.handle = time.monotonic(), display(self.bar, display_id=True)

    def update(self, task: TaskID, **changes: Any) -> None:
        """Changes the bar, and draws it unless it was drawn a moment ago."""
        self.bar.update(task, **changes)
        if time.monotonic() - self.last > CELL_SECONDS:
            self.draw()

    def draw(self) -> None:
        """Draws it as it is now, in place of what was drawn."""
        self.last = time.monotonic()
        self.handle.update(self.bar)

    def stop(self) -> None:
        """Draws its last state."""
        self.draw()


class Meter:
    """Counts runs and run-steps from several threads, and shows them. No error of its own ends training.

    Args:
      budgets: steps each run may take.
      shows: whether to show anything.
      told: the file in which a share of a sweep says how far it is; None: it is no share.
      before: runs of the share that had ended before.
    """

    def __init__(self, budgets: list[int], shows: bool = True, told: Path | None = None, before: int = 0):
        self.total, self.num_runs = sum(budgets), len(budgets)
        self.told, self.before = told, before
        self.run_steps = self.skipped = self.ended = self.memorised = self.generalised = 0
        self.lock = threading.Lock()
        self.begin = self.last_line = time.monotonic()
        self.first: tuple[float, int] | None = None  # when the first steps were done, after compiling, and how many
        self.last_told = -np.inf
        self.reached: dict[str, set[int]] = {"memorised": set(), "generalised": set()}
        self.bar = None
        self.shows = shows
        self._open()

    @harmless
    def _open(self) -> None:
        """Opens a bar, on a terminal or in a notebook."""
        console = Console(file=STANDARD_ERROR)
        if self.shows and (console.is_jupyter or STANDARD_ERROR.isatty()):
            columns = TextColumn("{task.fields[line]}"), BarColumn(), TimeElapsedColumn()
            bar = Progress(*columns, console=console)
            self.task = bar.add_task("", total=self.total, line=self.line())
            self.bar = CellBar(bar) if console.is_jupyter else bar
            self.bar.start()
        if self.told:
            self._tell()

    @harmless
    def advanced(self, run_steps: int) -> None:
        """So many run-steps more are done."""
        with self.lock:
            self.run_steps += run_steps
            self.first = self.first or (time.monotonic(), self.run_steps)
            self._show()

    @harmless
    def evaluated(self, live: Live) -> None:
        """Counts a run that has just reached 99 %."""
        with self.lock:
            for what, name in (("memorised", "train_accuracy"), ("generalised", "val_accuracy")):
                if live.latest(name) >= np.float32(0.99) and id(live) not in self.reached[what]:
                    self.reached[what].add(id(live))
                    setattr(self, what, getattr(self, what) + 1)

    @harmless
    def end(self, live: Live) -> None:
        """A run has ended, perhaps before its budget."""
        with self.lock:
            self.ended += 1
            self.skipped += int(live.schedule[-1]) - live.step
            for ids in self.reached.values():
                ids.discard(id(live))
            self._show()

    @property
    def seconds(self) -> float:
        """Since the first step was to be made."""
        return time.monotonic() - self.begin

    def line(self) -> str:
        """Runs done, speed, how many got there, time left at most."""
        rate = self.run_steps / max(self.seconds, 1e-9)
        since, done = self.first or (self.begin, 0)
        pace = (self.run_steps - done) / max(time.monotonic() - since, 1e-9)
        left = (self.total - self.run_steps - self.skipped) / pace if pace else float("nan")
        text = f"{self.ended}/{self.num_runs} runs, {rate:,.0f} run-steps/s, {self.memorised} memorised"
        text += f", {self.generalised} generalised"
        return text + (f", {clock(left)} left at most" if np.isfinite(left) and self.ended < self.num_runs else "")

    def _show(self) -> None:
        if self.told and time.monotonic() - self.last_told > FILE_SECONDS:
            self._tell()
        if self.bar:
            self.bar.update(self.task, completed=self.run_steps + self.skipped, line=self.line())
        elif self.shows and time.monotonic() - self.last_line > LINE_SECONDS:
            self.last_line = time.monotonic()
            say(self.line())

    def _tell(self) -> None:
        self.last_told = time.monotonic()
        left = self.total - self.run_steps - self.skipped
        Counts(self.before + self.ended, left, self.skipped, self.memorised, self.generalised).write(self.told)

    @harmless
    def close(self) -> None:
        """Shows the last state and leaves the terminal as it was."""
        if self.told:
            self._tell()
        if self.bar:
            self.bar.stop()
        elif self.shows and self.num_runs:
            say(self.line())


class Summed(Meter):
    """Shows how far all shares of a sweep are, by what each says in its file.

    Args:
      budgets: by the file of each share, the steps that each of its runs may take.
      shows: whether to show anything.
    """

    def __init__(self, budgets: Mapping[Path, list[int]], shows: bool):
        super().__init__([steps for of_share in budgets.values() for steps in of_share], shows)
        self.budgets, self.last_look = budgets, -np.inf

    @harmless
    def look(self) -> None:
        """Reads what the shares say, every few seconds, and shows it."""
        if time.monotonic() - self.last_look > FILE_SECONDS:
            self._sum()

    @harmless
    def close(self) -> None:
        """Shows what they say last and leaves the terminal as it was."""
        self._sum()
        super().close()

    def _sum(self) -> None:
        self.last_look = time.monotonic()
        said = [Counts.read(path) or Counts(left=sum(steps)) for path, steps in self.budgets.items()]
        whole = Counts(*map(sum, zip(*said, strict=True)))
        self.ended, self.skipped = whole.ended, whole.skipped
        self.memorised, self.generalised = whole.memorised, whole.generalised
        self.run_steps = self.total - whole.left - whole.skipped
        self._show()


def clock(seconds: float) -> str:
    """A duration: '42 s', '3 min 20 s', '2 h 05 min'."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
