"""The flags of a command that trains, draws on every setting there is, and reads them into typed values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from grokjax import __version__
from grokjax.cli.values import metric, number, parse_values, parse_variants, variant_words
from grokjax.config import OTHER_NAMES, Config, ConfigError, folded, own_name, settings, unknown_name
from grokjax.messages import show
from grokjax.sweeps import CHECKPOINT_MINUTES
from grokjax.sweeps.grid import COMPONENTS, component

LONGEST_NAME = 100
"""Letters that the name of a flag may have."""

DEFAULTS = {"task": "modular", "model": "decoder", "optimizer": "adamw"}
"""The components when none is named."""

SWEEP_FLAGS = {
    "num_seeds": "short for --seed=0:N-1:1",
    "zip": "names whose values advance together, as one axis: a,b or several groups a,b;c,d",
    "variant": "an axis of labelled configurations: 'label: name=value name=value; label: ...'",
    "metrics": "what to measure besides loss and accuracy: names below, or file.py:function; a,b for several",
    "out": "the result file, an .npz; its missing runs are trained",
    "lanes": "runs that advance together on a device; default: 1 on a CPU, on an accelerator as measured",
    "num_devices": "devices, of a CPU cores, that train; default: all",
    "snapshots": "times, log-spaced, that a run's parameters are kept at most",
    "process_id": "which of several processes this is, from 0; default: as SLURM, Open MPI or PMI say",
    "num_processes": "how many share the sweep through the folder of --out; default: likewise, or 1",
    "coordinator": "host:port, or auto: have all processes meet by jax.distributed first, as pods of TPUs need",
    "checkpoint_minutes": f"between two times that all is saved as far as it is; default: {CHECKPOINT_MINUTES:g}",
}

SWEEP_SWITCHES = {
    "overwrite": "start anew whatever --out holds",
    "dry_run": "print the grid and what it needs, and train nothing",
    "progress": "show progress",
    "keep_checkpoints": "leave the checkpoints of the runs under way when all have ended",
}

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


def _definitions(
    presets: bool,
    switches: Mapping[str, str],
    texts: Mapping[str, str],
    without: Collection[str],
    known: Mapping,
) -> flags.FlagValues:
    values = flags.FlagValues()
    for name in [*COMPONENTS, *known, *SWEEP_FLAGS, *texts, *(["preset"] if presets else [])]:
        if name not in without:
            flags.DEFINE_string(name, None, "", flag_values=values)
    for name in (*SWEEP_SWITCHES, *switches, "help", "version"):
        if name not in without:
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

    def defined(known):
        values = _definitions(presets, switches, texts, without, known)
        return values, argv[:1] + [_ours(argument, values, known) for argument in argv[1:]]

    settings_by_name = all_settings(kinds_of(_chosen_kinds(*defined(all_settings()))))
    values, arguments = defined(settings_by_name)
    known = set(values)
    try:
        rest = values(arguments)
    except flags.UnrecognizedFlagError as error:
        raise unknown_name("flag", error.flagname, known) from None
    except flags.Error as error:
        raise _unreadable(error) from None
    if len(rest) > 1:
        name, equals, text = rest[1].partition("=")
        meant = own_name(OTHER_NAMES.get(folded(name), name), known)
        hint = f" Did you mean --{meant}{equals}{text}?" if meant in known else ""
        raise ConfigError(f"{rest[1]!r} is not a flag.{hint} --help lists them.")
    if values.version:
        show(f"grokjax {__version__}")
        return None
    order = [argument.lstrip("-").partition("=")[0] for argument in arguments]
    given = {name: values[name].value for name in values if not values[name].using_default_value}
    given = dict(sorted(given.items(), key=lambda item: order.index(item[0]) if item[0] in order else 0))
    return _read(given, {*SWEEP_SWITCHES, *switches, *texts}, settings_by_name, presets)


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


def _read(given: Mapping[str, Any], plain: set[str], known: Mapping[str, Any], presets: bool) -> Given:
    """The texts of flags as values; what is `plain` is handed on. Where there are `presets`, arms are known by id."""
    options: dict[str, Any] = {name: given[name] for name in plain if name in given}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name in plain or name in ("metrics", "preset"):
            continue
        if name in ("lanes", "num_devices", "snapshots", "process_id", "num_processes"):
            options[name] = number(name, text, int)
        elif name == "checkpoint_minutes":
            options[name] = number(name, text, float)
        elif name in ("out", "coordinator"):
            options[name] = text
        elif name == "zip":
            options["zip"] = [[n.strip() for n in group.split(",")] for group in text.split(";")]
        elif name == "num_seeds":
            values[name] = number(name, text, int)
        elif name == "variant":
            values["variant"] = _ids(text) if presets and ":" not in text else parse_variants(text, known)
        elif name in COMPONENTS:
            values[name] = parse_values(name, text, str)
        else:
            values[name] = parse_values(name, text, known[name].metadata["kind"], known[name].metadata["optional"])
    metrics = [metric(name) for name in given["metrics"].split(",")] if "metrics" in given else None
    return Given(values, options, metrics, given.get("preset"))


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
