"""The flags of a command that trains, draws on every setting there is, and reads them into typed values."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from grokjax import __version__
from grokjax.cli.values import metric, number, parse_values, parse_variants, variant_words
from grokjax.config import OPTIONS, OTHER_NAMES, Config, ConfigError, folded, own_name, settings, unknown_name
from grokjax.messages import show
from grokjax.sweeps.components import COMPONENTS, component

LONGEST_NAME = 100
"""Letters that the name of a flag may have."""

DEFAULTS = {"task": "modular", "model": "decoder", "optimizer": "adamw"}
"""The components when none is named."""

SWEEP_FLAGS = {
    "num_seeds": "short for --seed=0:N-1:1",
    "zip": "names whose values advance together, as one axis: a,b or several groups a,b;c,d",
    "variant": "an axis of labelled configurations: 'label: name=value name=value; label: ...'",
    "metrics": "what to measure besides loss and accuracy: names below, or file.py:function; a,b for several",
    **{name: option.metadata["help"] for name, option in OPTIONS.items() if option.metadata["kind"] is not bool},
}
"""The flags of a sweep that are no settings, with their help."""

SWEEP_SWITCHES = {name: option.metadata["help"] for name, option in OPTIONS.items() if option.metadata["kind"] is bool}
"""Those that are on or off."""

NOTHING: Mapping = {}

Kinds = Mapping[str, Mapping[str, Any]]
"""Per component, its kinds by name: ours, and those of the user's files that a command line names."""


class Given(NamedTuple):
    """What a command line says.

    Attributes:
      values: of settings by name, one or several, in the order of the command line; under 'variant' labelled
        configurations, or the ids of some of a preset's arms.
      options: other keywords of `grokjax.sweep`, and the command's own flags.
      metrics: what to measure; None if not said.
      preset: its name; None if not said.
    """

    values: dict[str, Any]
    options: dict[str, Any]
    metrics: list | None
    preset: str | None


def kinds_of(texts: Mapping[str, str]) -> Kinds:
    """The kinds a command line may choose from.

    Only what is given as a task, model or optimizer, by a flag or in a variant, is looked at. A label, the name of a
    result or any other text that looks like 'task=file.py:name' is never run.

    Args:
      texts: what is given for 'task', 'model', 'optimizer' and 'variant', if they are.

    Raises:
      ConfigError: if a file that is named does not give one, or variants cannot be read.
    """
    chosen = [(which, value.strip()) for which in COMPONENTS for value in texts.get(which, "").split(",")]
    if ":" in texts.get("variant", ""):
        chosen += [pair for pairs in variant_words(texts["variant"]).values() for pair in pairs]
    kinds = {which: dict(ours) for which, ours in COMPONENTS.items()}
    for which, value in chosen:
        if which in COMPONENTS and ".py:" in value:
            kinds[which][value] = component(which, value)
    return kinds


def all_settings(kinds: Kinds = COMPONENTS) -> dict[str, Any]:
    """Every setting there is, by name; where several kinds have one, the first's."""
    known = dict(settings(Config))
    for which in reversed(COMPONENTS):
        for kind in reversed(kinds[which].values()):
            known |= settings(kind)
    return known


class Parser(flags.ArgumentParser):
    """Reads the text of a flag as a value, by a function that raises ConfigError for what it cannot read."""

    def __init__(self, read: Callable[[str], Any]):
        self.read = read

    def parse(self, argument: str) -> Any:
        return self.read(argument)


def _readers(known: Mapping[str, Any], presets: bool) -> dict[str, Callable[[str], Any]]:
    """How the text of each flag is read.

    Args:
      known: the settings by name.
      presets: whether the command has them, so that --variant may name their arms by id.
    """
    readers = {which: functools.partial(parse_values, which, kind=str) for which in COMPONENTS}
    for name, field in known.items():
        kind, optional = field.metadata["kind"], field.metadata["optional"]
        readers[name] = functools.partial(parse_values, name, kind=kind, optional=optional)
    for name, option in OPTIONS.items():
        kind = option.metadata["kind"]
        if kind is not bool:
            readers[name] = str if kind is str else functools.partial(number, name, kind=kind)
    return readers | {
        "num_seeds": functools.partial(number, "num_seeds", kind=int),
        "zip": lambda text: [[name.strip() for name in group.split(",")] for group in text.split(";")],
        "variant": lambda text: _ids(text) if presets and ":" not in text else parse_variants(text, known),
        "metrics": lambda text: [metric(name) for name in text.split(",")],
        "preset": str,
    }


def _definitions(readers: Mapping[str, Callable[[str], Any]], switches: Collection[str]) -> flags.FlagValues:
    """absl's flags, each with a parser of its own; and those that are on or off."""
    values = flags.FlagValues()
    for name, read in readers.items():
        # By keyword: absl keeps each parser that is made by position.
        flags.DEFINE(Parser(read=read), name, None, "", flag_values=values)
    for name in switches:
        flags.DEFINE_boolean(name, name == "progress", "", flag_values=values)
    return values


def parse(
    argv: Sequence[str],
    *,
    switches: Mapping[str, str] = NOTHING,
    texts: Mapping[str, str] = NOTHING,
    without: Collection[str] = (),
    presets: bool = False,
) -> Given | None:
    """Reads a command line.

    Names of flags, and values that are names, are read without regard to case, and '-' in them is '_'.

    Args:
      argv: program and arguments.
      switches: further flags that are on or off, with their help.
      texts: further flags whose text is handed on, with their help.
      without: flags of a sweep that this command does not have.
      presets: whether it has --preset.

    Returns:
      What it says; None if only the version was asked for and printed.

    Raises:
      ConfigError: for anything that cannot be read.
    """
    switches = [n for n in (*SWEEP_SWITCHES, *switches, "help", "version") if n not in without]
    left_out = {*without, *(() if presets else ["preset"])}

    def defined(known, as_text=False):
        readers = _readers(known, presets) | dict.fromkeys(texts, str)
        values = _definitions({n: str if as_text else r for n, r in readers.items() if n not in left_out}, switches)
        return values, argv[:1] + [_ours(argument, values, known) for argument in argv[1:]]

    settings_by_name = all_settings(kinds_of(_chosen_kinds(*defined(all_settings(), as_text=True))))
    values, arguments = defined(settings_by_name)
    rest = _filled(values, arguments)
    if len(rest) > 1:
        raise _not_a_flag(rest[1], values)
    if values.version:
        show(f"grokjax {__version__}")
        return None
    given = _in_order(values, arguments)
    options = {*OPTIONS, "zip", *switches, *texts}
    return Given(
        values={n: value for n, value in given.items() if n not in {*options, "metrics", "preset"}},
        options={n: value for n, value in given.items() if n in options},
        metrics=given.get("metrics"),
        preset=given.get("preset"),
    )


def _not_a_flag(argument: str, known: flags.FlagValues) -> ConfigError:
    name, equals, text = argument.partition("=")
    meant = own_name(OTHER_NAMES.get(folded(name), name), known)
    hint = f" Did you mean --{meant}{equals}{text}?" if meant in known else ""
    return ConfigError(f"{argument!r} is not a flag.{hint} --help lists them.")


def _in_order(values: flags.FlagValues, arguments: Sequence[str]) -> dict[str, Any]:
    """The values that were given, in the order of the command line."""
    order = [argument.lstrip("-").partition("=")[0] for argument in arguments]
    given = {name: values[name].value for name in values if not values[name].using_default_value}
    return dict(sorted(given.items(), key=lambda item: order.index(item[0]) if item[0] in order else 0))


def _filled(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Reads the arguments into the flags; the program and what is no flag is left. ConfigError for what is wrong."""
    known = set(values)
    try:
        return values(arguments)
    except flags.UnrecognizedFlagError as error:
        raise unknown_name("flag", error.flagname, known) from None
    except flags.IllegalFlagValueError as error:
        if isinstance(error.__context__, ConfigError):  # of a parser, which absl puts into other words
            raise error.__context__ from None
        raise _unreadable(error) from None
    except flags.Error as error:
        raise _unreadable(error) from None


def _chosen_kinds(values: flags.FlagValues, arguments: Sequence[str]) -> dict[str, str]:
    """The texts of --task, --model, --optimizer and --variant, other flags not being known yet."""
    values.set_gnu_getopt(True)  # goes on after the value of a flag that is not known
    try:
        values(arguments, known_only=True)
    except flags.Error as error:
        raise _unreadable(error) from None
    return {name: values[name].value for name in (*COMPONENTS, "variant") if values[name].value is not None}


def _unreadable(error: flags.Error) -> ConfigError:
    return ConfigError(f"{str(error).strip().removesuffix('.')}. --help lists the flags.")


def _ours(argument: str, values: flags.FlagValues, known: Mapping[str, Any]) -> str:
    """An argument with our name of its flag; with '=true' if it is the bare name of a setting that is true or false."""
    dashes = argument[: len(argument) - len(argument.lstrip("-"))]
    if len(dashes) not in (1, 2):
        return argument
    name, equals, text = argument.removeprefix(dashes).partition("=")
    if len(name) > LONGEST_NAME:  # absl compares it with every flag, by a recursion over its letters
        raise ConfigError(f"There is no flag '{name:.40}...'. --help lists all.")
    switches = {f"no_{name}": f"no{name}" for name in values if values[name].boolean}
    name = own_name(name, [*values, *switches.values()])
    name = switches.get(own_name(name, switches), name)
    if not equals and name in known and known[name].metadata["kind"] is bool:
        equals, text = "=", "true"
    return f"{dashes}{name}{equals}{text}"


def _ids(text: str) -> list[str]:
    """'a; b' as a list of ids."""
    ids = [part.strip() for part in text.split(";") if part.strip()]
    if not ids:
        raise ConfigError(f"variant={text} names no variant. Try 'a: weight_decay=0; b: weight_decay=1'.")
    return ids


def base_config(metrics: list | None = None) -> Config:
    """The configuration of a command line that says nothing."""
    parts = {which: component(which, kind) for which, kind in DEFAULTS.items()}
    return Config(**parts, metrics=metrics or ())
