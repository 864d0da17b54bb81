"""What --help prints: every flag under its heading, with its default and the values it may take."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from grokjax.cli.flags import DEFAULTS, NOTHING, SWEEP_FLAGS, SWEEP_SWITCHES
from grokjax.config import Config, settings
from grokjax.metrics import METRICS
from grokjax.sweeps.components import COMPONENTS


def help_text(
    program: str,
    doc: str,
    presets: Sequence[str] = (),
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
        lines.append(flag_line("preset", f"{', '.join(presets)}; any flag overrides it", presets[0]))
    lines += [flag_line(name, text, None) for name, text in (SWEEP_FLAGS | texts).items() if name not in without]
    switches = {name: text for name, text in (SWEEP_SWITCHES | switches).items() if name not in without}
    lines += [flag_line(name, text, name == "progress") for name, text in switches.items()]
    for which, kinds in COMPONENTS.items():
        lines += ["", f"The {which}:"]
        table = ", or the table of a file, file.npz" if which == "task" else ""
        kind = f"kind: {', '.join(kinds)}; or yours, as file.py:name{table}"
        lines.append(flag_line(which, kind, DEFAULTS[which]))
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
        lines.append(flag_line(name, text + only, " or ".join(defaults) or None))
    return lines


def flag_line(name: str, text: str, default) -> str:
    """The line of --help of one flag: its name, what it is, its default unless that is None."""
    ending = f" (default: {default})" if default is not None else ""
    return f"  --{name:<16} {text}{ending}"
