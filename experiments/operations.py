"""Writes what every preset trains, in words, and computes, counted, to experiments/STUDY/operations.toml.

    python experiments/operations.py [STUDY ...]

Counted are the matrix products of all training steps, as `--dry_run` counts them, had no run ended early and, where a
preset bisects an axis, the whole grid. Run it after a preset has been added or changed. `grokjax run STUDY/NAME --help`
and the pages of the studies turn the numbers into hours.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from grokjax import catalogue
from grokjax.study import Preset, find
from grokjax.sweeps.engine import make_groups
from grokjax.sweeps.grid import make_grid

HEAD = """\
# What each preset trains, and the floating-point operations of all its steps. Made by experiments/operations.py.
"""


def operations(preset: Preset) -> float:
    """Floating-point operations of all steps of a preset's runs, had none ended early."""
    asked = {name: value for name, value in preset.keywords().items() if name not in preset.options}
    grid = make_grid(asked.pop("config"), asked, asked.pop("zip"))
    return sum(run.config.steps * group.step_work for group in make_groups(grid.runs()) for run in group.pending)


def main(studies: Sequence[str]) -> None:
    """Writes the files of some studies."""
    for study in studies:
        names = [name for name in catalogue.experiments() if name.startswith(f"{study}/")]
        lines = []
        for experiment in (find(name) for name in names):
            if experiment.main is None:
                lines += ["", f"[{experiment.name.partition('/')[2]}]"]
                for name, preset in experiment.presets.items():
                    size = json.dumps(preset.size, ensure_ascii=False)
                    lines.append(f"{name} = {{ operations = {operations(preset):.3g}, size = {size} }}")
        path = Path(__file__).parent / study / "operations.toml"
        path.write_text("\n".join([HEAD, *lines[1:], ""]))
        print(f"wrote   {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="default: all")
    studies = parser.parse_args().studies or catalogue.studies()
    if wrong := set(studies) - set(catalogue.studies()):
        parser.error(f"There is no study {min(wrong)}. Known: {', '.join(catalogue.studies())}.")
    main(studies)
