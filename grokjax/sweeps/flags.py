"""The command line: every setting is a flag that takes one value, a list or a range.

Shared by the `grokjax` command and every script under experiments/.
"""

import contextlib
import inspect
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from absl import flags

from grokjax import __version__
from grokjax.command import variant_text
from grokjax.config import (
    OTHER_NAMES,
    Config,
    ConfigError,
    beyond,
    exact_number,
    folded,
    own_name,
    settings,
    unknown_name,
)
from grokjax.messages import say, show
from grokjax.metrics import METRICS
from grokjax.results import ResultError, format_summary, summary
from grokjax.sweeps import CHECKPOINT_MINUTES, Interrupted, devices, sweep
from grokjax.sweeps.grid import COMPONENTS, component, from_file

LONGEST_RANGE = 1_000_000
"""Values a range may have."""

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
        chosen += [pair for pairs in _variant_words(texts["variant"]).values() for pair in pairs]
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


def parse_values(name: str, text: str, kind: type, optional: bool = False) -> Any:
    """One value, a list `a,b,c` or an inclusive range `start:stop:step`, as text.

    Args:
      name: of the setting, for messages.
      text: what the user wrote.
      kind: int, float or str; only numbers have ranges.
      optional: whether 'none' stands for None.

    Returns:
      A single value, or a list of them if there are several. Numbers in decimal are exact: 0.3:0.5:0.05 has 0.35.

    Raises:
      ConfigError: if a part cannot be read.
    """
    values = []
    for part in text.split(","):
        part = part.strip()
        if not part:
            raise ConfigError(f"{name}={text} has an empty value. Try --{name}=a,b,c, without spare commas.")
        if optional and part.lower() == "none":
            values.append(None)
        elif kind in (int, float) and ":" in part:
            values += _range(name, part, kind)
        elif kind in (int, float):
            values.append(_number(name, part, kind))
        else:
            values.append(part)
    return values[0] if len(values) == 1 and (kind is str or ":" not in text) else values


def _range(name: str, text: str, kind: type) -> list:
    parts = [_decimal(name, text, part) for part in text.split(":")]
    example = "0:4:1" if kind is int else "0.3:0.8:0.05"
    if len(parts) != 3 or parts[2] <= 0 or parts[1] < parts[0]:
        raise ConfigError(f"{name}={text} is not a range: it must be start:stop:step, rising. Try --{name}={example}.")
    start, stop, step = parts
    steps = (stop - start) / step
    if steps >= LONGEST_RANGE:
        count = f"{int(steps) + 1:,}" if steps < 10**15 else f"about {steps:.0e}"
        raise ConfigError(f"{name}={text} has {count} values, more than {LONGEST_RANGE:,}. Try a larger step.")
    return [_number(name, str(start + i * step), kind) for i in range(int(steps) + 1)]


def _decimal(name: str, whole: str, part: str) -> Decimal:
    number = exact_number(name, part.strip(), whole)
    if number is None or not number.is_finite():
        raise ConfigError(f"{name}={whole} cannot be read: {part!r} is not a number.")
    return number


def _number(name: str, text: str, kind: type) -> float | int:
    value = exact_number(name, text)
    if value is None:
        raise ConfigError(f"{name}={text} is not a number.")
    if kind is float:
        number = float(value)
        if value.is_finite() and value and (not number or math.isinf(number)):
            raise beyond(name, text)
        return number
    if not value.is_finite() or value != value.to_integral_value():
        raise ConfigError(f"{name}={text} is not a whole number.")
    if abs(value) > 2**63:
        raise ConfigError(f"{name}={text} is out of range.")
    return int(value)


def _variant_words(text: str) -> dict[str, list[tuple[str, str]]]:
    """'label: name=value name=value; label: ...' as {label: [(name, value)]}, nothing being known of the names."""
    variants = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        label, colon, rest = part.partition(":")
        try:
            words = [word.partition("=") for word in shlex.split(rest)]
        except ValueError as error:
            raise ConfigError(f"variant={part} cannot be read: {str(error).lower()}.") from None
        if broken := [name for name, equals, _ in words if not equals]:
            raise ConfigError(f"variant={part} cannot be read: {broken[0]!r} is not name=value.")
        if label.strip() in variants:
            raise ConfigError(f"variant gives the label {label.strip()!r} twice. Give each its own.")
        if not colon or not words:
            raise ConfigError(f"variant={part} cannot be read. Try 'a: weight_decay=0; b: weight_decay=1'.")
        variants[label.strip()] = [(name, value) for name, _, value in words]
    if not variants:
        raise ConfigError("variant has no value, so the grid is empty. Try 'a: weight_decay=0; b: weight_decay=1'.")
    return variants


def parse_variants(text: str, known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """'label: name=value name=value; label: ...' as {label: {name: value}}; ConfigError if it is not of this form.

    A value with spaces stands in quotes. `known` are the settings by name.
    """
    variants = {}
    for label, pairs in _variant_words(text).items():
        chosen = variants[label] = {}
        for name, value in pairs:
            name = own_name(name, (*known, *COMPONENTS))
            if name in COMPONENTS:
                chosen[name] = value
            elif name in known:
                data = known[name].metadata
                chosen[name] = parse_values(name, value, data["kind"], data["optional"])
                if isinstance(chosen[name], list):
                    raise ConfigError(f"variant={label}:... gives {name} several values. A variant has one of each.")
            else:
                raise unknown_name("setting", name, {*known, *COMPONENTS})
    return variants


def _metric(text: str) -> tuple[str, Any]:
    """A metric's name and, for one of the user's, its function."""
    name = text.strip()
    return (name.rpartition(":")[2], from_file("metric", name)) if ".py:" in name else (name, None)


def _definitions(
    presets: Mapping[str, Mapping[str, str]],
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


def help_text(
    program: str,
    doc: str,
    presets: Mapping[str, Mapping[str, str]],
    switches: Mapping[str, str] = NOTHING,
    texts: Mapping[str, str] = NOTHING,
    without: Collection[str] = (),
) -> str:
    """What --help prints: every flag under its heading, with its default and the values it may take."""
    lines = [doc.strip(), "", f"usage: {program} [--flag=value ...]", ""]
    lines += ["Every setting takes one value, a list a,b,c or an inclusive range start:stop:step;"]
    lines += ["several values make an axis of the result.", ""]
    lines += ["The sweep:"]
    if presets:
        lines.append(_flag_line("preset", f"{', '.join(presets)}; any flag overrides it", next(iter(presets))))
    lines += [_flag_line(name, text, None) for name, text in (SWEEP_FLAGS | texts).items() if name not in without]
    switches = {name: text for name, text in (SWEEP_SWITCHES | switches).items() if name not in without}
    lines += [_flag_line(name, text, name == "progress") for name, text in switches.items()]
    for which, kinds in COMPONENTS.items():
        lines += ["", f"The {which}:"]
        told = f"kind: {', '.join(kinds)}; or one of your own, as file.py:name"
        lines.append(_flag_line(which, told, DEFAULTS[which]))
        lines += _setting_lines({name: settings(kind) for name, kind in kinds.items()})
    lines += [
        "",
        "The run:",
        *_setting_lines({"run": settings(Config)}),
        "",
        "What is measured besides loss and accuracy:",
    ]
    for name, metric in METRICS.items():
        lines.append(f"  {name:<24} {inspect.getdoc(metric).splitlines()[0]}")
    return "\n".join(lines)


def _setting_lines(kinds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line per setting of some kinds, each with the kinds that have it, unless all do."""
    owners: dict[tuple[str, str], list[str]] = {}
    for kind, fields in kinds.items():
        for name, field in fields.items():
            choices = field.metadata["choices"]
            text = field.metadata["help"] + (f" ({', '.join(choices)})" if choices else "")
            owners.setdefault((name, text), []).append(kind)
    lines = []
    for (name, text), having in owners.items():
        only = f" [{', '.join(having)}]" if len(having) < len(kinds) else ""
        defaults = dict.fromkeys(str(kinds[kind][name].default) for kind in having)
        defaults.pop("None", None)
        lines.append(_flag_line(name, text + only, " or ".join(defaults) or None))
    return lines


def _flag_line(name: str, text: str, default) -> str:
    told = f" (default: {default})" if default is not None else ""
    return f"  --{name:<16} {text}{told}"


def parse(
    argv: Sequence[str],
    presets: Mapping[str, Mapping[str, str]] = NOTHING,
    out: str | None = None,
    switches: Mapping[str, str] = NOTHING,
    texts: Mapping[str, str] = NOTHING,
    without: Collection[str] = (),
) -> dict[str, Any] | None:
    """Reads a command line.

    Names of flags, and values that are names, are read without regard to case, and '-' in them is '_'.

    Args:
      argv: program and arguments.
      presets: flags by name of preset; the first is the default.
      out: default of --out, in which {preset} stands for the preset's name.
      switches: further flags that are on or off, with their help.
      texts: further flags whose text is handed on as it is, with their help.
      without: flags of a sweep that this command does not have.

    Returns:
      The keywords of `grokjax.sweep`, 'config' included, axes in the order of the command line; None if only the
      version was asked for and printed.

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
    if presets:
        preset = own_name(given.pop("preset", next(iter(presets))), presets)
        if preset not in presets:
            raise unknown_name("preset", preset, presets)
        given = _overridden(presets[preset], given, settings_by_name)
        out = out and out.format(preset=preset)
    given.setdefault("out", out)
    return _keywords(given, {*SWEEP_SWITCHES, *switches, *texts}, settings_by_name)


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


INSTEAD = (("seed", "num_seeds"), ("steps", "epochs"), ("train_fraction", "train_rows"))
"""Flags that replace each other."""


def _overridden(preset: Mapping[str, str], given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The preset with the flags given put over it.

    A flag also replaces what the preset's variants set, which their labels then tell, and --variant='label; label'
    chooses some of them. Of axes that advance together in the preset, values given for one choose those of the others.

    Raises:
      ConfigError: for a label that the preset has not, values that the preset does not zip with others or whose others
        are replaced, or flags that leave nothing of some variants.
    """
    replaced = {*given, *(other for pair in INSTEAD for one, other in (pair, pair[::-1]) if one in given)}
    kept = {name: text for name, text in preset.items() if name not in replaced}
    given = dict(given)
    if "variant" in preset and ":" not in given.get("variant", ""):
        variants = _chosen_variants(parse_variants(preset["variant"], known), given.pop("variant", None))
        rest = {
            _relabelled(label, own, given): {n: v for n, v in own.items() if n not in replaced}
            for label, own in variants.items()
        }
        empty = [label for label, own in rest.items() if not own]
        if empty and len(empty) < len(rest):
            raise ConfigError(
                f"The flags given replace all that the preset's variant {empty[0]!r} sets, and not all of the others. "
                f"Choose those to train with --variant, or leave out one of these flags."
            )
        kept["variant"] = None if empty else variant_text(rest)
    if "zip" in kept:
        groups = [_still_zipped(group.split(","), preset, given, kept, known) for group in kept["zip"].split(";")]
        kept["zip"] = ";".join(",".join(group) for group in groups if len(group) > 1) or None
    return {name: text for name, text in (kept | given).items() if text is not None}


def _relabelled(label: str, own: Mapping[str, Any], given: Mapping[str, str]) -> str:
    """A variant's label, with the flags that replace what it is named for; a budget names nothing."""
    told = [f"{n}={given[n].replace(':', '..')}" for n in own if n in given and n not in ("steps", "epochs")]
    return f"{label} ({', '.join(told)})" if told else label


def _chosen_variants(variants: Mapping[str, Any], labels: str | None) -> Mapping[str, Any]:
    """Those of a preset's variants that --variant names by label; all if it names none."""
    chosen = list(variants) if labels is None else [label.strip() for label in labels.split(";") if label.strip()]
    if not chosen:
        raise ConfigError(f"variant={labels} names no variant. Try --variant='{next(iter(variants))}'.")
    for label in chosen:
        if label not in variants:
            raise unknown_name("variant", label, variants)
    return {label: variants[label] for label in chosen}


def _still_zipped(group: list[str], preset, given, kept: dict[str, str], known) -> list[str]:
    """The names of a preset's zipped group that still have lists; in `kept`, those of its values that are asked for."""

    def values(name, text):
        read = parse_values(name, text, known[name].metadata["kind"], known[name].metadata["optional"])
        return read if isinstance(read, list) else [read]

    others = [name for name in group if name in kept]
    for name in group:
        if name in given and others:
            asked, zipped = values(name, given[name]), values(name, preset[name])
            if lost := [value for value in asked if value not in zipped]:
                raise ConfigError(
                    f"{name}={lost[0]} has no {others[0]} in this preset, which has {name}={preset[name]} with "
                    f"{others[0]}={preset[others[0]]}. Give --{others[0]} too, or one of these."
                )
            places = [i for value in asked for i, one in enumerate(zipped) if one == value]
            for other, texts in [(name, preset[name]), *((other, kept[other]) for other in others)]:
                chosen = given if other == name else kept
                chosen[other] = ",".join(texts.split(",")[i] for i in places)
    still = [name for name in group if len(values(name, (kept | given).get(name, "0"))) > 1]
    if len(still) == 1 and still[0] in kept and len(set(left := values(still[0], kept[still[0]]))) < len(left):
        gone = next(name for name in group if name not in still)
        raise ConfigError(
            f"The preset's {still[0]}={kept[still[0]]} go along {gone}={preset[gone]}, which is replaced. "
            f"Give --{still[0]} too."
        )
    return still


def _keywords(given: Mapping[str, Any], plain: set[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `grokjax.sweep`; what is `plain` is handed on as it is."""
    parts: dict[str, Any] = {which: component(which, kind) for which, kind in DEFAULTS.items()}
    keywords: dict[str, Any] = {name: given[name] for name in plain if name in given}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name in plain or text is None:
            continue
        if name in ("lanes", "num_devices", "snapshots", "process_id", "num_processes"):
            keywords[name] = _number(name, text, int)
        elif name == "checkpoint_minutes":
            keywords[name] = _number(name, text, float)
        elif name == "num_seeds":
            values[name] = _number(name, text, int)
        elif name == "zip":
            keywords["zip"] = [[n.strip() for n in group.split(",")] for group in text.split(";")]
        elif name in ("out", "coordinator"):
            keywords[name] = text
        elif name == "variant":
            values["variant"] = parse_variants(text, known)
        elif name == "metrics":
            parts["metrics"] = [_metric(name) for name in text.split(",")]
        elif name in COMPONENTS:
            values[name] = parse_values(name, text, str)
        else:
            values[name] = parse_values(name, text, known[name].metadata["kind"], known[name].metadata["optional"])
    return keywords | values | {"config": Config(**parts)}


def main(
    argv: Sequence[str] | None = None,
    *,
    doc: str = "Trains any grid of runs and writes one labelled NPZ.",
    presets: Mapping[str, Mapping[str, str]] = NOTHING,
    out: str | None = None,
) -> None:
    """Runs a sweep from the command line and exits: 0 done, 1 refused or failed, 128 + n ended by signal n.

    Args:
      argv: program and arguments; default: of this process.
      doc: what the experiment is, shown by --help.
      presets: flags by name of preset; the first is the default.
      out: default of --out.
    """

    def run(keywords):
        if keywords.get("out") is None and not keywords.get("dry_run"):
            raise ConfigError("There is no --out to write the result to. Try --out=results/sweep.npz.")
        grid = sweep(**keywords)
        if grid is not None:
            by = [name for name in grid["status"].dims if not name.endswith("seed") and grid.sizes[name] > 1]
            show(format_summary(summary(grid, by=by or None)))

    guarded(run, argv, doc=doc, presets=presets, out=out)


def guarded(
    run: Callable[[dict[str, Any]], None],
    argv: Sequence[str] | None = None,
    *,
    doc: str,
    presets: Mapping[str, Mapping[str, str]] = NOTHING,
    out: str | None = None,
    switches: Mapping[str, str] = NOTHING,
    texts: Mapping[str, str] = NOTHING,
    without: Collection[str] = (),
) -> None:
    """Calls `run` with the keywords of a command line, and ends the process with one sentence if that cannot be.

    Args:
      run: given the keywords of `grokjax.sweep`.
      argv, doc, presets, out: as in `main`.
      switches, texts, without: as in `parse`.
    """
    argv = list(sys.argv if argv is None else argv)
    devices.start()
    try:
        if any(argument in ("-h", "--help", "-help", "--helpfull") for argument in argv[1:]):
            show(help_text(argv[0], doc, presets, switches, texts, without))
            sys.exit(0)
        keywords = parse(argv, presets, out, switches, texts, without)
        if keywords is not None:
            run(keywords)
    except (ConfigError, ResultError) as error:
        say(f"{argv[0]}: {error}")
        sys.exit(1)
    except Interrupted as error:
        say(f"{argv[0]}: {error}")
        _end(128 + error.number)
    except KeyboardInterrupt:
        say(f"\n{argv[0]}: Ended at once. The same command goes on from what was saved last.")
        _end(128 + signal.SIGINT)


def _end(status: int) -> None:
    """Ends the process, though threads may still compile or train: an orderly exit would cut them off inside XLA."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
