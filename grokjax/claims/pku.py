"""The claims of the PKU study, PKU-1 to PKU-19, and its picture of implicit regularisation.

Each function is given the runs of the claim's experiments, its rule, the preset and the accuracy level of crossings,
and returns the parts that decide and the controls that are told beside them. The registry says in words what they
compute.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from grokjax.claims.rules import Rule, recorded
from grokjax.claims.runs import Runs, delay_ratio, gain, paired, time_ratio
from grokjax.claims.verdicts import Part, effect, majority, no_more, without_interval

Evidence = Mapping[str, Runs]
MODELS = {"encoder_decoder": "Transformer", "lstm": "LSTM", "mlp": "MLP", "resnet": "ResNet"}
LIKE_ADAM = 0.05
"""How close to Adam is 'about Adam', in accuracy."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a claim's function found.

    Attributes:
      parts, controls: what decides, and what is told beside it.
      used: the runs that the parts rest on.
      by_level: whether the parts depend on the accuracy level of crossings.
    """

    parts: Sequence[Part]
    controls: Sequence[Part] = ()
    used: Sequence[Runs] = ()
    by_level: bool = True


def _cells(evidence: Evidence, name: str, *by: str):
    """(key, runs) of each cell of an experiment, nothing if it was not run."""
    runs = evidence.get(name)
    return [] if runs is None or any(column not in runs.table for column in by) else list(runs.by(*by))


def _every_cell_groks(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-1."""
    parts, used = [], []
    for (modulus, fraction), runs in _cells(evidence, "modular_addition", "modulus", "train_fraction"):
        part = effect(rule, f"p={modulus}, alpha={fraction}", runs.delay(level))
        if part.verdict in ("reproduced", "partly") and np.isinf(np.median(runs.crossing("val", level)[0])):
            note = "the median run does not validate within its budget"
            part = dataclasses.replace(part, verdict="inconclusive", note=note)
        parts.append(part)
        used.append(runs)
    return Judged(parts, used=used)


def _less_data_groks_more(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-2."""
    parts, used = [], []
    cells = [c for name in ("modular_addition", "architectures") for c in _cells(evidence, name, "model", "modulus")]
    for (model, modulus), runs in cells:
        fractions = runs.values("train_fraction")
        if len(fractions) < 2:
            continue
        horizon = rule.horizon_of(MODELS[model], preset)
        least, most = (runs.where(train_fraction=fraction) for fraction in (fractions[0], fractions[-1]))
        label = f"{MODELS[model]}, p={modulus}, alpha {fractions[0]} to {fractions[-1]}"
        parts.append(effect(rule, f"{label}: time", time_ratio(least, most, "val", level, horizon)))
        parts.append(effect(rule, f"{label}: ratio", delay_ratio(least, most, level, horizon)))
        used += [least, most]
    return Judged(parts, used=used)


def _smaller_modulus_groks_more(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-3."""
    horizon = rule.horizon_of(preset)

    def compare(runs, label):
        moduli = runs.values("modulus")
        if len(moduli) < 2:
            return []
        small, large = (runs.where(modulus=modulus) for modulus in (moduli[0], moduli[-1]))
        used.extend([small, large])
        values = delay_ratio(small, large, level, horizon)
        return [effect(rule, f"p={moduli[0]} to {moduli[-1]}, {label}", values)]

    parts, used = [], []
    for (fraction,), runs in _cells(evidence, "modular_addition", "train_fraction"):
        parts += compare(runs, f"alpha={fraction}")
    mine = list(used)
    controls = [
        p for (rows,), runs in _cells(evidence, "equal_rows", "num_train") for p in compare(runs, f"{rows} rows")
    ]
    return Judged(parts, controls, mine)


def _other_models_grok(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-4."""
    cells = _cells(evidence, "architectures", "model", "modulus", "train_fraction")
    own = [c for c in cells if c[0][1] in rule.own["modulus"] and c[0][2] in rule.own["train_fraction"]]
    parts, controls = [], []
    for (model, modulus, fraction), runs in own or cells:
        label = f"{MODELS[model]}, p={modulus}, alpha={fraction}"
        parts.append(effect(rule, label, runs.rise("unswapped_accuracy", level)))
        controls.append(effect(rule, f"{label}, all validation rows", runs.rise("val_accuracy", level)))
    return Judged(parts, controls, [runs for _, runs in own or cells])


def _pooled_models_fit_slower(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-5."""
    parts, controls, used = [], [], []
    for (model,), runs in _cells(evidence, "fitting", "model"):
        moduli = runs.values("modulus")
        if len(moduli) < 2:
            continue
        large, small = (runs.where(modulus=modulus) for modulus in (moduli[-1], moduli[0]))
        steps = time_ratio(large, small, "train", level)
        epochs = steps - np.log(large.table["steps_per_epoch"].iloc[0] / small.table["steps_per_epoch"].iloc[0])
        predicted = effect if model in ("mlp", "resnet") else no_more
        label = f"{MODELS[model]}, p={moduli[0]} to {moduli[-1]}"
        parts.append(predicted(rule, f"{label}, in steps", steps))
        controls.append(predicted(rule, f"{label}, in epochs", epochs))
        used += [large, small]
    return Judged(parts, controls, used)


def _arms(evidence: Evidence, name: str, *labels: str) -> list[Runs] | None:
    """The runs of some labelled arms of an experiment; None unless all were run."""
    runs = evidence.get(name)
    found = [runs.where(variant=label) for label in labels] if runs is not None else []
    return found if found and all(len(arm) for arm in found) else None


def _dropout_helps(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-6."""
    arms = _arms(evidence, "optimizers", "Adam 1e-4, dropout .1", "Adam 1e-4")
    parts, controls = [], []
    for fraction in arms[0].values("train_fraction") if arms else []:
        with_it, without = (arm.where(train_fraction=fraction) for arm in arms)
        if len(with_it) and len(without):
            parts.append(effect(rule, f"alpha={fraction}", gain(with_it, without, "max_val_accuracy")))
            sooner = time_ratio(without, with_it, "val", level)
            controls.append(
                effect(rule, f"alpha={fraction}, time without / with", sooner, unit="ln ratio", smallest=0.2231)
            )
    return Judged(parts, controls, arms or ())


def _decay_of_one_lies_above(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-7."""
    arms = _arms(evidence, "optimizers", "AdamW 5e-4, decay 1", "AdamW 5e-4, decay .05", "Adam 1e-4")
    if not arms:
        return Judged([])
    strong, weak, adam = (_mean_over_fractions(arm) for arm in arms)
    parts = [
        effect(rule, "decay 1 less decay .05", _by_seed(strong, weak)),
        no_more(rule, "decay .05 less Adam 1e-4", _by_seed(weak, adam), smallest=LIKE_ADAM, about=True),
    ]
    return Judged(parts, used=arms, by_level=False)


def _mean_over_fractions(runs: Runs) -> dict:
    """{seed: mean over train fractions of the highest validation accuracy}, of the seeds that have all fractions."""
    fractions = runs.values("train_fraction")
    tables = runs.table.groupby("seed")["max_val_accuracy"]
    return {seed: float(group.mean()) for seed, group in tables if len(group) == len(fractions)}


def _by_seed(one: dict, other: dict) -> list[float]:
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def _sgd_needs_data(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-8."""
    arms = _arms(evidence, "optimizers", "SGD 1e-2, momentum .9")
    fractions = arms[0].values("train_fraction") if arms else []
    if len(fractions) < 2:
        return Judged([])
    least, most = (arms[0].where(train_fraction=fraction) for fraction in (fractions[0], fractions[-1]))
    part = effect(rule, f"alpha {fractions[-1]} less {fractions[0]}", gain(most, least, "max_val_accuracy"))
    return Judged([part], used=[least, most], by_level=False)


def _momentum_speeds(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-9."""
    parts, controls, used = [], [], []
    pairs = {"RMSprop": ("RMSprop", "RMSprop, momentum .9"), "Adam": ("Adam, b1 0", "Adam, b1 .9")}
    for name, labels in pairs.items():
        arms = _arms(evidence, "momentum", *labels)
        for rate in arms[0].values("learning_rate") if arms else []:
            without, with_it = (arm.where(learning_rate=rate) for arm in arms)
            label = f"{name} {rate:g}, without to with"
            parts.append(effect(rule, f"{label}: time", time_ratio(without, with_it, "val", level)))
            rise = gain(with_it, without, "max_val_accuracy")
            controls.append(effect(rule, f"{label}: highest accuracy", rise, unit="points", smallest=0.05))
            used += [without, with_it]
    return Judged(parts, controls, used)


def _operands_decide(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-10."""
    parts, controls, used = [], [], []
    for (modulus, operands, dropout, rate), runs in _cells(
        evidence, "operands", "modulus", "operands", "dropout", "learning_rate"
    ):
        if modulus not in rule.own["modulus"]:
            continue
        val, train = runs.crossing("val", level)[0], runs.crossing("train", level)[0]
        does = {
            2: ("does not generalise", runs.table["max_val_accuracy"].to_numpy() < 0.5),
            3: ("groks", np.isfinite(val) & (runs.delay(level) >= np.log(2))),
            4: ("is not fitted", np.isinf(train)),
        }
        label, hits = does[operands]
        named = f"p={modulus}, K={operands} {label}"
        if (dropout, rate) == (0.1, 7e-4):
            parts.append(majority(rule, named, hits))
            used.append(runs)
        else:
            controls.append(majority(rule, f"{named}, dropout {dropout:g}, learning rate {rate:g}", hits))
    return Judged(parts, controls, used)


def _cell_of_operands(evidence: Evidence, modulus: int, operands: int) -> Runs | None:
    """The runs of one cell at the source's dropout and learning rate; None if there are none."""
    runs = evidence.get("operands")
    found = runs and runs.where(modulus=modulus, operands=operands, dropout=0.1, learning_rate=7e-4)
    return found if found is not None and len(found) else None


def _two_operands_grok_three_show_no_gap(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-11."""
    parts, used = [], []
    for operands, predicted in ((2, effect), (3, no_more)):
        runs = _cell_of_operands(evidence, 31, operands)
        if runs is not None:
            parts.append(predicted(rule, f"p=31, K={operands}", runs.delay(level)))
            used.append(runs)
    return Judged(parts, used=used)


def _fewer_operands_grok_more(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-19."""
    parts, used = [], []
    for modulus in evidence["operands"].values("modulus") if "operands" in evidence else []:
        two, three = (_cell_of_operands(evidence, modulus, operands) for operands in (2, 3))
        if two is not None and three is not None:
            parts.append(effect(rule, f"p={modulus}, K 2 to 3", delay_ratio(two, three, level)))
            used += [two, three]
    return Judged(parts, used=used)


def _kinds(evidence: Evidence, name: str) -> dict[str, dict[str, Runs]]:
    """Ordered rows, all rows and controls of an experiment: {'alpha=0.3': {'ordered': runs, 'all': ...}}."""
    found: dict[str, dict[str, Runs]] = {}
    for (label,), arm in _cells(evidence, name, "variant"):
        kind, _, fraction = label.rpartition(", ")
        found.setdefault(fraction, {})[kind] = arm
    return found


def _ordered_pairs_grok_later(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-12."""
    parts, controls, used = [], [], []
    horizon = rule.horizon_of(preset)
    for fraction, arms in _kinds(evidence, "ordered_pairs").items():
        for kind, runs in arms.items():
            if kind == "ordered" or "ordered" not in arms:
                continue
            part = effect(
                rule, f"{fraction}, ordered to {kind}", time_ratio(arms["ordered"], runs, "val", level, horizon)
            )
            if kind == "all":
                parts.append(part)
                used += [arms["ordered"], runs]
            else:
                controls.append(part)
    return Judged(parts, controls, used)


def _ordered_triples_grok_more(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-13."""
    parts, controls, used = [], [], []
    for fraction, arms in _kinds(evidence, "ordered_triples").items():
        for kind, runs in arms.items():
            if kind != "ordered" and "ordered" in arms:
                part = effect(rule, f"{fraction}, ordered to {kind}", delay_ratio(arms["ordered"], runs, level))
                (parts if kind == "all" else controls).append(part)
                used += [arms["ordered"], runs] if kind == "all" else []
    return Judged(parts, controls, used)


def _order_matters_more_at_three(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-18."""
    triples, pairs = (
        {fraction: arms for fraction, arms in _kinds(evidence, name).items() if {"ordered", "all"} <= arms.keys()}
        for name in ("ordered_triples", "ordered_pairs")
    )
    if not triples or not pairs:
        return Judged([])
    fraction = next(iter(triples))
    at_two = fraction if fraction in pairs else next(iter(pairs))
    three, two = triples[fraction], pairs[at_two]
    seeds = sorted(set.intersection(*(set(arm.table["seed"]) for group in (three, two) for arm in group.values())))
    if not seeds:
        return Judged([])

    def ratios(group):
        ordered, every = (_of_seeds(group[kind], seeds) for kind in ("ordered", "all"))
        return time_ratio(ordered, every, "val", level)

    with np.errstate(invalid="ignore"):
        values = np.nan_to_num(ratios(three) - ratios(two), nan=0.0, posinf=np.inf, neginf=-np.inf)
    label = f"K=3, {fraction} less K=2, {at_two}"
    return Judged([effect(rule, label, values)], used=[*three.values(), *two.values()])


def _of_seeds(runs: Runs, seeds: Sequence[int]) -> Runs:
    return runs.take(np.flatnonzero(runs.table["seed"].isin(seeds).to_numpy()))


def _validation_loss_rises(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-14."""
    parts, used = [], []
    for (modulus, fraction), runs in _cells(evidence, "modular_addition", "modulus", "train_fraction"):
        train, val = (runs.crossing(part, level)[0] for part in ("train", "val"))
        if np.isinf(np.median(val)):
            continue
        loss = runs.curve("val_loss")
        within = (runs.step >= train[:, None]) & (runs.step <= val[:, None])
        peak = np.where(within, loss, -np.inf).max(1)
        peak = np.where(within.any(1), peak, loss[:, 0])
        parts.append(effect(rule, f"p={modulus}, alpha={fraction}", np.log(peak / loss[:, 0]).astype(np.float64)))
        used.append(runs)
    return Judged(parts, used=used)


def _wider_groks_more(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-15."""
    runs = evidence.get("width")
    if runs is None or len(runs.values("width")) < 2:
        return Judged([])
    slopes = []
    for _, mine in runs.by("seed"):
        if len(mine) == len(runs.values("width")):
            val, train = mine.crossing("val", level)[0], mine.crossing("train", level)[0]
            last = mine.table["last_step"].to_numpy(np.float64)
            delay = np.log(np.minimum(val, last)) - np.log(np.minimum(train, last))
            slopes.append(float(np.polyfit(np.log(mine.table["width"].to_numpy(np.float64)), delay, 1)[0]))
    widths = runs.values("width")
    return Judged([effect(rule, f"width {widths[0]} to {widths[-1]}", slopes)], used=[runs])


def _without_regularisation(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-16."""
    parts, controls, used = [], [], []
    for (dtype,), runs in _cells(evidence, "no_regularisation", "loss_dtype"):
        part = majority(rule, f"loss in {dtype}", np.isfinite(runs.crossing("val", level)[0]))
        (parts if dtype == "float32" else controls).append(part)
        used += [runs] if dtype == "float32" else []
        last = runs.curve("train_softmax_collapse")[:, -1].astype(np.float64)
        label = f"loss in {dtype}: share of collapsed training rows at the end"
        controls.append(effect(rule, label, last, unit="points", smallest=0.5))
    return Judged(parts, controls, used)


def _smaller_steps_are_needed(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-17."""
    parts, controls, used = [], [], []
    for (model, fraction), runs in _cells(evidence, "step_and_batch", "model", "train_fraction"):
        rates, batches = runs.values("learning_rate"), runs.values("batch_size")
        arms = {(rate, batch): runs.where(learning_rate=rate, batch_size=batch) for rate in rates for batch in batches}
        small, large = paired(arms[rates[0], batches[0]], arms[rates[-1], batches[-1]])
        values = small.rise("val_accuracy", level) - large.rise("val_accuracy", level)
        label = f"{MODELS[model]}, alpha={fraction}"
        if (rates[0], batches[0]) != (rates[-1], batches[-1]):
            parts.append(effect(rule, f"{label}: {rates[0]:g}, {batches[0]} less {rates[-1]:g}, {batches[-1]}", values))
            used += [small, large]
        for (rate, batch), arm in arms.items():
            if len(arm):
                controls.append(effect(rule, f"{label}: rise at {rate:g}, {batch}", arm.rise("val_accuracy", level)))
    return Judged(parts, controls, used)


def _sgd_finds_the_least_norm(evidence: Evidence, rule: Rule, preset: str, level: int) -> Judged:
    """PKU-P8."""
    parts, controls, used = [], [], []
    for (scale,), runs in _cells(evidence, "minimum_norm", "init_scale"):
        part = majority(rule, f"started at norm {scale:g}", runs.curve("distance")[:, -1] < 1e-3)
        (parts if scale == 0 else controls).append(part)
        used += [runs] if scale == 0 else []
    return Judged(parts, controls, used, by_level=False)


CLAIMS = {
    "PKU-1": _every_cell_groks,
    "PKU-2": _less_data_groks_more,
    "PKU-3": _smaller_modulus_groks_more,
    "PKU-4": _other_models_grok,
    "PKU-5": _pooled_models_fit_slower,
    "PKU-6": _dropout_helps,
    "PKU-7": _decay_of_one_lies_above,
    "PKU-8": _sgd_needs_data,
    "PKU-9": _momentum_speeds,
    "PKU-10": _operands_decide,
    "PKU-11": _two_operands_grok_three_show_no_gap,
    "PKU-12": _ordered_pairs_grok_later,
    "PKU-13": _ordered_triples_grok_more,
    "PKU-14": _validation_loss_rises,
    "PKU-15": _wider_groks_more,
    "PKU-16": _without_regularisation,
    "PKU-17": _smaller_steps_are_needed,
    "PKU-18": _order_matters_more_at_three,
    "PKU-19": _fewer_operands_grok_more,
    "PKU-P8": _sgd_finds_the_least_norm,
}


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The parts of a claim on the numbers that the source recorded; none where it recorded none that decide."""
    table = recorded()["optimizers"]
    fractions = table["train_fraction"]

    def less(one, other):
        return [(a - b) / 100 for a, b in zip(table[one], table[other], strict=True)]

    if rule.id == "PKU-4":
        ends = recorded()["architectures"]
        return [without_interval(rule, model, (ends[model] - ends["memoriser"]) / 100) for model in ("MLP", "ResNet")]
    if rule.id == "PKU-6":
        values = less("Adam 1e-4, dropout .1", "Adam 1e-4")
        return [without_interval(rule, f"alpha={a}", v) for a, v in zip(fractions, values, strict=True)]
    if rule.id == "PKU-7":
        over = float(np.mean(less("AdamW 5e-4, decay 1", "AdamW 5e-4, decay .05")))
        about = float(np.mean(less("AdamW 5e-4, decay .05", "Adam 1e-4")))
        return [
            without_interval(rule, "decay 1 less decay .05", over),
            without_interval(rule, "decay .05 less Adam 1e-4", about, smallest=LIKE_ADAM, about=True),
        ]
    if rule.id == "PKU-8":
        sgd = table["SGD 1e-2, momentum .9"]
        return [without_interval(rule, f"alpha {fractions[-1]} less {fractions[0]}", (sgd[-1] - sgd[0]) / 100)]
    return []
