"""Which function does what `grokjax VERB` asks for."""

import difflib
import sys
from collections.abc import Sequence

from grokjax import __version__
from grokjax.cli import VERBS, importing
from grokjax.messages import say, show

HELP = ("--help", "-h", "-help", "help")
_EACH = "`{} pku/width --help` says what an experiment's flags are, and `grokjax list` has every experiment."


def main(argv: Sequence[str]) -> None:
    """Calls the verb that the first argument names; flags without a verb are those of `sweep`."""
    program, rest = "grokjax", list(argv[1:])
    if rest[:1] == ["--version"]:
        show(f"grokjax {__version__}")
    elif not rest or rest[0] in HELP:
        show(usage())
    elif rest[0].startswith("-"):
        call("sweep", [program, *rest])
    elif rest[0] not in VERBS:
        close = difflib.get_close_matches(rest[0], VERBS, n=1)
        mean = f"Did you mean {close[0]}? " if close else ""
        _end(program, f"There is no verb {rest[0]!r}. {mean}Known: {', '.join(VERBS)}.")
    else:
        call(rest[0], [f"{program} {rest[0]}", *rest[1:]])


def usage() -> str:
    """What `grokjax --help` prints."""
    verbs = "\n".join(f"  {name:<10} {text}" for name, text in VERBS.items())
    return (
        f"grokjax {__version__}: the grokking literature as grids of runs\n\nusage: grokjax VERB [--flag=value ...]\n\n"
        f"{verbs}\n\ngrokjax VERB --help lists the flags of a verb. Flags without a verb are those of sweep."
    )


def call(verb: str, argv: list[str]) -> None:
    """Calls a verb with program and arguments; what it needs is imported only then."""
    name = ""
    if verb in ("run", "draw"):
        if argv[1:2] and argv[1] in HELP:
            show(f"usage: {argv[0]} STUDY/EXPERIMENT [--flag=value ...]\n\n{VERBS[verb]}\n\n{_EACH.format(argv[0])}")
            return
        if len(argv) < 2 or argv[1].startswith("-"):
            _end(argv[0], f"Name an experiment: {argv[0]} pku/width. `grokjax list` has all.")
        name, argv = argv[1], [f"{argv[0]} {argv[1]}", *argv[2:]]
    with importing():
        action = _actions[verb](name)
    action(argv)


def _sweep(_):
    from grokjax.cli import training

    return training.sweep_command


def _run(name):
    from grokjax import study
    from grokjax.cli import training

    def action(argv):
        with training.in_a_sentence(argv[0]):
            experiment = study.find(name)
        training.run(experiment, argv)

    return action


def _join(_):
    from grokjax.cli import training

    return training.join_command


def _draw(name):
    from grokjax.cli import drawing

    return lambda argv: drawing.show(name, argv)


def _explore(_):
    from grokjax.cli import exploring

    return exploring.explore_command


def _report(_):
    from grokjax.cli import reporting

    return reporting.report_command


def _list(_):
    from grokjax.cli import reporting

    return reporting.list_command


def _benchmark(_):
    from grokjax.experiments.speed import benchmark

    return benchmark.main


_actions = dict(
    sweep=_sweep,
    run=_run,
    join=_join,
    draw=_draw,
    explore=_explore,
    report=_report,
    list=_list,
    benchmark=_benchmark,
)


def _end(program: str, sentence: str) -> None:
    say(f"{program}: {sentence}")
    sys.exit(1)
