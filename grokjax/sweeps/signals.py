"""Signals that ask a sweep to end: Ctrl-C, SIGTERM, and SIGHUP, which a dropped connection sends."""

import signal
import threading

from grokjax.messages import say

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal ended the sweep before it was done; what had ended is saved. Carries the signal's number."""

    def __init__(self, text: str, number: int):
        super().__init__(text)
        self.number = number


class Listening:
    """While inside, a signal ends the sweep in order; a second one ends the process as it would have without.

    Until training begins a signal raises `Interrupted` in the main thread, so that a lock is released. From then on it
    sets `stop`, by which training ends once the steps under way are done and saved.

    Under `nohup`, where SIGHUP is ignored, it stays ignored. Threads other than the main one cannot listen.

    Args:
      stop: set once training is to end, by a signal or by whoever else has it; default: one of its own.

    Attributes:
      stop: the same.
      training: to be set to True once there is something to save.
      heard: numbers of the signals heard.
    """

    def __init__(self, stop: threading.Event | None = None):
        self.stop, self.training = stop or threading.Event(), False
        self.heard: list[int] = []
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Listening":
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    @property
    def number(self) -> int:
        """Of the signal heard first; of SIGTERM where training is to end without one."""
        return self.heard[0] if self.heard else signal.SIGTERM

    def _hear(self, number, frame) -> None:
        self.heard.append(number)
        self._leave()
        if not self.training:
            raise Interrupted("Interrupted before training began. The same command begins it.", number)
        self.stop.set()
        say("\nEnding after the steps under way; once more ends at once.")

    def _leave(self) -> None:
        for number, handler in self._before.items():
            # A handler that was not installed by Python reads as None, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def __exit__(self, *exception) -> None:
        if not self.heard:
            self._leave()
