"""The command line, which imports what it needs late, so that Ctrl-C ends it in order from its first moment.

The `grokjax` command and the scripts under experiments/ call `main`.
"""

import os
import shlex
import signal
import sys
from collections.abc import Mapping
from typing import Any


def main(argv: list[str] | None = None, **keywords: Any) -> None:
    """Runs a sweep from the command line and exits; `grokjax.sweeps.flags.main` has the arguments.

    Imports take seconds, during which an exception in a signal's handler may be raised in code that does not expect it.
    There is nothing to save yet, so the process is ended by the handler itself.
    """
    default = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    if default:
        signal.signal(signal.SIGINT, _end_at_once)
    from grokjax.sweeps import flags

    if default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    flags.main(argv, **keywords)


def variant_text(variants: Mapping[str, Mapping[str, Any]]) -> str:
    """Labelled configurations as --variant takes them: what `grokjax.sweeps.flags.parse_variants` reads."""
    return "; ".join(
        f"{label}: " + " ".join(f"{name}={shlex.quote(str(value))}" for name, value in chosen.items())
        for label, chosen in variants.items()
    )


def _end_at_once(number, frame) -> None:
    try:
        os.write(2, f"\n{sys.argv[0]}: Ended before anything was begun.\n".encode(errors="replace"))
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
