"""An experiment as a value: what it trains at which size, and what came out.

    EXPERIMENT = Experiment(
        name="pku/width",
        doc=__doc__,
        presets={"quick": Preset(CONFIG, axes={"width": [32, 64, 128], "seed": range(3)}), "paper": ...},
    )

A module under experiments/<study>/ holds one, as `EXPERIMENT`; its claims are those of experiments/<study>/claims.toml
that name it, and its figure is the module of the same name under figures/<study>/.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grokjax import catalogue
from grokjax.config import Config, ConfigError, settings, several, unknown_name
from grokjax.sweeps.axes import Arm
from grokjax.sweeps.overrides import configured

INSTEAD = (("seed", "num_seeds"), ("steps", "epochs"), ("train_fraction", "train_rows"))
"""Settings that replace each other."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """One size of an experiment: a grid of runs.

    Attributes:
      config: one run; what axes and arms do not set.
      axes: the values of each axis, by name of setting; a single value sets all runs.
      arms: labelled configurations that are compared along the axis 'variant', before the others.
      zipped: groups of axes that advance together.
      size: what the preset trains and leaves out, in a phrase.
      snapshots: how many times a run's parameters are kept, for what is measured of them.
      search: the axis that is bisected for the least value with which runs generalise, as `grokjax.search` does it;
        '': all its values are trained.
    """

    config: Config
    axes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arms: tuple[Arm, ...] = ()
    zipped: tuple[tuple[str, ...], ...] = ()
    size: str = ""
    snapshots: int = 0
    search: str = ""

    def but(
        self, *, size: str, arms: Sequence[Arm] | None = None, search: str | None = None, **values: Any
    ) -> "Preset":
        """The preset at another size: a single value sets all runs, several make an axis.

        Args:
          size: of the new preset.
          arms, search: in place of this preset's; None: the same.
          **values: settings by name.
        """
        owners = (self.config, self.config.task, self.config.model, self.config.optimizer)
        own = {name for owner in owners for name in settings(owner)}  # an arm's model may have others
        single = {name: value for name, value in values.items() if not several(value) and name in own}
        axes = {name: value for name, value in (dict(self.axes) | values).items() if name not in single}
        zipped = tuple(group for group in self.zipped if not set(group) & set(values))
        arms = self.arms if arms is None else tuple(arms)
        return dataclasses.replace(
            self,
            config=configured(self.config, single),
            axes=axes,
            arms=arms,
            zipped=zipped,
            size=size,
            search=self.search if search is None else search,
        )

    @property
    def options(self) -> dict[str, Any]:
        """How the grid is trained, as keywords of `grokjax.sweep`."""
        return {"snapshots": self.snapshots} if self.snapshots else {}

    def keywords(self) -> dict[str, Any]:
        """The preset as keywords of `grokjax.sweep`."""
        arms = {"variant": self.arms} if self.arms else {}
        return {"config": self.config, "zip": self.zipped, **self.options, **arms, **self.axes}

    def overridden(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The preset as keywords of `grokjax.sweep`, with other values put over it.

        A value replaces what the preset's configuration, axes and arms have; an arm that has lost a setting bears the
        value in its id and label. Of axes that advance together, values given for one choose those of the others.

        Args:
          given: by name of setting, one value or several; 'num_seeds' is short for the first seeds; under 'variant'
            ids of the preset's arms, or labelled configurations in their place.

        Raises:
          ConfigError: for an arm that the preset does not have, values that it does not zip with others or whose others
            are replaced, or values that leave nothing of some arms.
        """
        seeds = {"seed": range(given["num_seeds"])} if "num_seeds" in given else {}
        given = {name: value for name, value in given.items() if name != "num_seeds"} | seeds
        replaced = {*given, *(other for pair in INSTEAD for one, other in (pair, pair[::-1]) if one in given)}
        axes = {name: values for name, values in self.axes.items() if name not in replaced}
        variant = given.pop("variant", None)
        if not isinstance(variant, Mapping):
            variant = _without(_chosen(self.arms, variant), given, replaced)
        groups = []
        for group in self.zipped:
            left, chosen, still = _still_zipped(group, self.axes, given, axes)
            axes, given = axes | left, given | chosen
            groups += [still] if len(still) > 1 else []
        order = [*self.axes, *(name for name in given if name not in self.axes)]
        values = {name: (axes | given)[name] for name in order if name in axes | given}
        arms = {"variant": variant} if variant else {}
        return {"config": self.config, "zip": tuple(groups), **self.options, **arms, **values}


def _chosen(arms: Sequence[Arm], ids: Sequence[str] | None) -> tuple[Arm, ...]:
    """The arms of these ids; all if none is named."""
    if ids is None:
        return tuple(arms)
    known = {arm.id: arm for arm in arms}
    if not known:
        raise ConfigError(f"This preset has no variants to choose {', '.join(ids)} from. Leave out --variant.")
    for one in ids:
        if one not in known:
            raise unknown_name("variant", one, known)
    return tuple(known[one] for one in ids)


def _without(arms: Sequence[Arm], given: Mapping[str, Any], replaced: set[str]) -> tuple[Arm, ...]:
    """The arms without the settings that are replaced, which they are called by."""
    rest = []
    for arm in arms:
        lost = [name for name in arm.settings if name in given and name not in ("steps", "epochs")]
        mark = f" ({', '.join(f'{name}={plain_text(given[name])}' for name in lost)})" if lost else ""
        kept = {name: value for name, value in arm.settings.items() if name not in replaced}
        rest.append(Arm(arm.id + mark, arm.label + mark, kept))
    empty = [arm for arm, left in zip(arms, rest, strict=True) if not left.settings]
    if empty and len(empty) < len(rest):
        raise ConfigError(
            f"The values given replace all that the variant {empty[0].id!r} sets, and not all of the others. Choose "
            "those to train with --variant, or leave out one of these values."
        )
    return () if empty else tuple(rest)


def plain_text(value) -> str:
    """One value or several, as a flag has them: 8000, or 23,31."""
    texts = [f"{one:g}" if isinstance(one, float) else str(one) for one in (value if several(value) else [value])]
    return ",".join(texts)


def _still_zipped(
    group: Sequence[str], preset: Mapping[str, Sequence], given: Mapping[str, Any], kept: Mapping[str, Sequence]
) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """What is left of axes that advance together.

        for each axis of the group that values are given for:
            find the places of these values among the preset's
            the axes that are kept go along: they have their values at these places
        the axes that still have several values still advance together

    Args:
      group: their names.
      preset: the values of all axes of the preset.
      given: the values put over it.
      kept: the axes that are not replaced.

    Returns:
      The values of the kept axes; those given, in the order of the preset's; the names that still have several.

    Raises:
      ConfigError: for a given value that has no counterpart, or repeated values that have lost theirs.
    """
    others = [name for name in group if name in kept]
    left = {name: list(kept[name]) for name in others}
    chosen = {name: given[name] for name in group if name in given}
    for name in chosen if others else ():
        places = _places(name, chosen[name], preset, others[0])
        left = {other: [preset[other][i] for i in places] for other in others}
        if len(places) > 1:
            chosen[name] = [preset[name][i] for i in places]
    values = left | chosen
    still = tuple(name for name in group if name in values and several(values[name]) and len(values[name]) > 1)
    if len(still) == 1:
        _check_not_alone(still[0], group, preset, left)
    return left, chosen, still


def _places(name: str, given, preset: Mapping[str, Sequence], other: str) -> list[int]:
    """Where the given values of an axis stand among the preset's; ConfigError for one that does not."""
    asked = list(given) if several(given) else [given]
    if lost := [value for value in asked if value not in preset[name]]:
        raise ConfigError(
            f"{name}={lost[0]} has no {other} in this preset, which has {name}={plain_text(preset[name])} with "
            f"{other}={plain_text(preset[other])}. Give --{other} too, or one of these."
        )
    return [i for value in asked for i, one in enumerate(preset[name]) if one == value]


def _check_not_alone(name: str, group: Sequence[str], preset: Mapping[str, Sequence], left: Mapping[str, Any]) -> None:
    """ConfigError for an axis of the preset that repeats values, and no longer has another to tell them apart."""
    if name in left and len(set(left[name])) < len(left[name]):
        gone = next(other for other in group if other != name)
        raise ConfigError(
            f"The preset's {name}={plain_text(preset[name])} go along {gone}={plain_text(preset[gone])}, which "
            f"is replaced. Give --{name} too."
        )


def sizes(quick: Preset, paper: Preset) -> dict[str, Preset]:
    """The presets that most experiments have: two grids, and each with the seeds that its verdicts need.

    Args:
      quick: minutes on two cores.
      paper: the source's own grid.

    Returns:
      'quick', 'small' (quick with six seeds), 'paper' and 'claim' (paper with ten).
    """
    return {
        "quick": quick,
        "small": quick.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "paper": paper,
        "claim": paper.but(seed=range(10), size="the same with ten seeds"),
    }


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a module under experiments/ declares.

    Attributes:
      name: study and module, such as 'pku/optimizers'.
      doc: the module's docstring; its first line is the title.
      presets: by name, the default first.
      measure: what is read off each trained run and kept beside the result, as `grokjax.measure` takes it.
      main: runs it from a command line where it is not a sweep: a function of the arguments.
    """

    name: str
    doc: str
    presets: Mapping[str, Preset]
    measure: Callable[[Sequence[Any]], Any] | None = None
    main: Callable[[Sequence[str]], None] | None = None

    @property
    def title(self) -> str:
        """The first line of `doc`."""
        return self.doc.strip().splitlines()[0].rstrip(".")

    @property
    def study(self) -> str:
        """The folder."""
        return self.name.partition("/")[0]

    @property
    def records(self) -> dict[str, catalogue.Record]:
        """What its presets took and gave, by their names: those of which results ship."""
        return catalogue.records(self.study).get(self.name.partition("/")[2], {})


def find(name: str) -> Experiment:
    """The experiment of this name; ConfigError naming close ones if there is none, or for a module that has another."""
    known = catalogue.experiments()
    if name not in known:
        if catalogue.is_module(name):
            raise ConfigError(f"experiments/{name}.py has no EXPERIMENT. CONTRIBUTING.md says what that holds.")
        raise unknown_name("experiment", name, known)
    experiment = importlib.import_module(f"grokjax.experiments.{name.replace('/', '.')}").EXPERIMENT
    if experiment.name != name:
        raise ConfigError(
            f"experiments/{name}.py calls its experiment {experiment.name!r}. Call it {name!r}, as its file."
        )
    return experiment
