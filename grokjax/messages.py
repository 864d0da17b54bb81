"""What a sweep says to its user: a message that cannot be written is dropped, and never ends training."""

import contextlib
import os
import sys


class _Surviving:
    """Standard error as a stream that writing to never fails, whether its disk is full or its terminal is gone."""

    def write(self, text: str) -> int:
        with contextlib.suppress(Exception):  # of streams that are closed or replaced come errors of several types
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(Exception):
            sys.stderr.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(Exception):
            return sys.stderr.isatty()
        return False

    def __getattr__(self, name: str):
        return getattr(sys.stderr, name)


STANDARD_ERROR = _Surviving()
"""Where messages and progress go."""


def say(text: str, aloud: bool = True) -> None:
    """Writes a message to standard error, unless it is to be quiet; does nothing where that cannot be written."""
    if aloud:
        print(text, file=STANDARD_ERROR, flush=True)


def show(text: object) -> None:
    """Prints what was asked for; neither a reader that has had enough, as `head` has, nor a full disk is an error.

    Where standard output has failed once, what else is printed is dropped: Python would end in an error otherwise.
    """
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError as error:
            print(str(text).encode(error.encoding, "backslashreplace").decode(error.encoding), flush=True)
    except (OSError, ValueError) as error:
        if not isinstance(error, BrokenPipeError):
            say(f"Standard output cannot be written ({getattr(error, 'strerror', None) or error}).")
        with contextlib.suppress(Exception):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
