"""The claims of the PKU study, PKU-1 to PKU-19, and its picture of implicit regularisation.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, and returns
the parts that decide and the controls that are reported beside them. The registry says in words what they compute.
"""

from collections import Counter

import numpy as np

from grokjax.analysis.statistics import Between, difference
from grokjax.claims.evidence import (
    TOO_EARLY,
    UNFITTED,
    Evidence,
    Findings,
    arms_of,
    cells,
    delayed,
    ended_early,
    more_delayed,
    once_fitted,
    once_generalised,
    once_memorised,
)
from grokjax.claims.recorded import Number, epochs_to_generalise, highest_accuracy
from grokjax.claims.rules import Rule, recorded_of
from grokjax.claims.runs import Runs, gain, paired, time_ratio
from grokjax.claims.verdicts import Part, effect, majority, no_more, without_interval
from grokjax.experiments.pku.arms import FRACTIONS, OPTIMIZERS, ROWS, of_rows

MODELS = {"encoder_decoder": "Transformer", "lstm": "LSTM", "mlp": "MLP", "resnet": "ResNet"}
ABOUT_ADAM = "decay .05 less Adam 1e-4"


def _named(model: str) -> str:
    return MODELS.get(model, model)


def _every_cell_groks(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-1."""
    parts, used = [], []
    for (modulus, fraction), runs in cells(evidence, "modular_addition", "modulus", "train_fraction"):
        parts.append(delayed(rule, f"p={modulus}, alpha={fraction}", runs, level))
        used.append(runs)
    return Findings(parts, used=used)


def _less_data_groks_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-2."""
    parts, used = [], []
    experiments = ("modular_addition", "architectures")
    groups = [group for name in experiments for group in cells(evidence, name, "model", "modulus")]
    for (model, modulus), runs in groups:
        fractions = runs.values("train_fraction")
        if len(fractions) < 2:
            continue
        least, most = (runs.where(train_fraction=fraction) for fraction in (fractions[0], fractions[-1]))
        label = f"{_named(model)}, p={modulus}, alpha {fractions[0]} to {fractions[-1]}"
        parts.append(effect(rule, f"{label}: time", time_ratio(least, most, "val", level)))
        parts.append(more_delayed(rule, f"{label}: ratio", least, most, level))
        used += [least, most]
    return Findings(parts, used=used)


def _smaller_modulus_groks_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-3."""

    def compare(runs, label):
        moduli = runs.values("modulus")
        if len(moduli) < 2:
            return []
        small, large = (runs.where(modulus=modulus) for modulus in (moduli[0], moduli[-1]))
        used.extend([small, large])
        return [more_delayed(rule, f"{label}, p={moduli[0]} to {moduli[-1]}", small, large, level)]

    parts, used = [], []
    for name in ("modular_addition", "architectures"):
        for (model, fraction), runs in cells(evidence, name, "model", "train_fraction"):
            parts += compare(runs, f"{_named(model)}, alpha={fraction}")
    mine = list(used)
    rows = cells(evidence, "equal_rows", "num_train")
    controls = [part for (count,), runs in rows for part in compare(runs, f"Transformer, {count} rows")]
    return Findings(parts, controls, mine)


def _other_models_grok(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-4."""
    found = cells(evidence, "architectures", "model", "modulus", "train_fraction")
    own = [c for c in found if c[0][1] in rule.own["modulus"] and c[0][2] in rule.own["train_fraction"]]
    parts, controls = [], []
    for (model, modulus, fraction), runs in own or found:
        label = f"{_named(model)}, p={modulus}, alpha={fraction}"
        parts.append(effect(rule, label, runs.rise("unswapped_accuracy", level), UNFITTED))
        controls.append(effect(rule, f"{label}, all validation rows", runs.rise("val_accuracy", level), UNFITTED))
    return Findings(parts, controls, [runs for _, runs in own or found])


def _pooled_models_fit_slower(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-5."""
    parts, used = [], []
    for (model,), runs in cells(evidence, "fitting", "model"):
        moduli = runs.values("modulus")
        if len(moduli) < 2:
            continue
        large, small = (runs.where(modulus=modulus) for modulus in (moduli[-1], moduli[0]))
        steps = time_ratio(large, small, "train", level)
        longer = float(np.log(large.column("steps_per_epoch")[0] / small.column("steps_per_epoch")[0]))
        label = f"{_named(model)}, p={moduli[0]} to {moduli[-1]}"
        predicted = no_more if _named(model) in rule.no_more else effect
        for clock, found in (("steps", steps), ("epochs", steps.shifted(-longer))):
            parts.append(predicted(rule, f"{label}, in {clock}", found))
        used += [large, small]
    return Findings(parts, used=used)


def _dropout_helps(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-6."""
    arms = arms_of(evidence, "optimizers", "adam-1e-4-dropout", "adam-1e-4")
    parts, controls = [], []
    for fraction in arms[0].values("train_fraction") if arms else []:
        with_it, without = (arm.where(train_fraction=fraction) for arm in arms)
        if len(with_it) and len(without):
            parts.append(effect(rule, f"alpha={fraction}", gain(with_it, without, "max_val_accuracy")))
            sooner = time_ratio(without, with_it, "val", level)
            controls.append(
                effect(rule, f"alpha={fraction}, time without / with", sooner, unit="ln ratio", smallest=0.2231)
            )
    return Findings(parts, controls, arms or (), by_level=False)


def _decay_of_one_lies_above(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-7."""
    arms = arms_of(evidence, "optimizers", "adamw-decay-1", "adamw-decay-0.05", "adam-1e-4")
    if not arms:
        return Findings([])
    strong, weak, adam = (_highest_by_cell(arm) for arm in arms)
    shared = sorted(strong.keys() & weak.keys() & adam.keys())
    fractions = len({fraction for _, fraction in shared})
    seeds = [seed for seed, count in Counter(seed for seed, _ in shared).items() if count == fractions]

    def less(one, other):
        return [np.mean([one[cell] - other[cell] for cell in shared if cell[0] == seed]) for seed in seeds]

    parts = [
        effect(rule, "decay 1 less decay .05", less(strong, weak)),
        no_more(rule, ABOUT_ADAM, less(weak, adam), smallest=rule.about[ABOUT_ADAM], about=True),
    ]
    return Findings(parts, used=arms, by_level=False)


def _highest_by_cell(runs: Runs) -> dict[tuple, float]:
    """{(seed, train fraction): highest validation accuracy}."""
    columns = (runs.column(name).tolist() for name in ("seed", "train_fraction", "max_val_accuracy"))
    return {(seed, fraction): highest for seed, fraction, highest in zip(*columns, strict=True)}


def _sgd_needs_data(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-8."""
    arms = arms_of(evidence, "optimizers", "sgd-momentum")
    fractions = arms[0].values("train_fraction") if arms else []
    if len(fractions) < 2:
        return Findings([])
    least, most = (arms[0].where(train_fraction=fraction) for fraction in (fractions[0], fractions[-1]))
    part = effect(rule, f"alpha {fractions[-1]} less {fractions[0]}", gain(most, least, "max_val_accuracy"))
    return Findings([part], used=[least, most], by_level=False)


def _momentum_speeds(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-9."""
    parts, controls, used = [], [], []
    pairs = {"RMSprop": ("rmsprop", "rmsprop-momentum"), "Adam": ("adam-b1-0", "adam-b1-0.9")}
    for name, labels in pairs.items():
        arms = arms_of(evidence, "momentum", *labels)
        for rate in arms[0].values("learning_rate") if arms else []:
            without, with_it = (arm.where(learning_rate=rate) for arm in arms)
            label = f"{name} {rate:g}, without to with"
            parts.append(effect(rule, f"{label}: time", time_ratio(without, with_it, "val", level)))
            rise = gain(with_it, without, "max_val_accuracy")
            controls.append(effect(rule, f"{label}: highest accuracy", rise, unit="points", smallest=0.05))
            used += [without, with_it]
    return Findings(parts, controls, used)


def _operands_decide(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-10."""
    parts, controls, used = [], [], []
    for (modulus, operands, dropout, rate), runs in cells(
        evidence, "operands", "modulus", "operands", "dropout", "learning_rate"
    ):
        if modulus not in rule.own["modulus"]:
            continue
        val, train = runs.crossing("val", level)[0], runs.crossing("train", level)[0]
        generalised = runs.column("max_val_accuracy") >= 0.5
        groks = np.isfinite(val) & (runs.delay(level).least >= np.log(2))
        does = {  # label, which runs do it, and of which the end of a longer run might tell otherwise
            2: ("does not generalise", ~generalised, ~generalised),
            3: ("groks", groks, np.isinf(val)),
            4: ("is not fitted", np.isinf(train), np.isinf(train)),
        }
        if operands not in does:
            continue
        label, hits, waits = does[operands]
        named = f"p={modulus}, K={operands} {label}"
        unknown = waits & ended_early(runs, rule)
        if (dropout, rate) == (0.1, 7e-4):
            parts.append(majority(rule, named, hits, unknown, TOO_EARLY))
            used.append(runs)
        else:
            label = f"{named}, dropout {dropout:g}, learning rate {rate:g}"
            controls.append(majority(rule, label, hits, unknown, TOO_EARLY))
    return Findings(parts, controls, used)


def _cell_of_operands(evidence: Evidence, modulus: int, operands: int) -> Runs | None:
    """The runs of one cell at the source's dropout and learning rate; None if there are none."""
    runs = evidence.get("operands")
    found = runs and runs.where(modulus=modulus, operands=operands, dropout=0.1, learning_rate=7e-4)
    return found if found is not None and len(found) else None


def _two_operands_grok_three_show_no_gap(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-11."""
    parts, used = [], []
    two, three = (_cell_of_operands(evidence, 31, operands) for operands in (2, 3))
    if two is not None:
        parts.append(delayed(rule, "p=31, K=2", two, level))
        used.append(two)
    if three is not None:
        part = no_more(rule, "p=31, K=3", three.delay(level), UNFITTED)
        parts.append(once_fitted(part, three, level))
        used.append(three)
    return Findings(parts, used=used)


def _fewer_operands_grok_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-19."""
    parts, used = [], []
    for modulus in evidence["operands"].values("modulus") if "operands" in evidence else []:
        two, three = (_cell_of_operands(evidence, modulus, operands) for operands in (2, 3))
        if two is not None and three is not None:
            parts.append(more_delayed(rule, f"p={modulus}, K 2 to 3", two, three, level))
            used += [two, three]
    return Findings(parts, used=used)


def _rows(evidence: Evidence, name: str) -> dict[str, dict[str, Runs]]:
    """Ordered rows, all rows and controls of an experiment: {'alpha=0.3': {'ordered': runs, 'all': ...}}."""
    runs, found = evidence.get(name), {}
    for fraction in FRACTIONS if runs is not None else ():
        arms = {rows: runs.where(variant=of_rows(rows, fraction)[0]) for rows in ROWS}
        if ran := {rows: arm for rows, arm in arms.items() if len(arm)}:
            found[f"alpha={fraction}"] = ran
    return found


def _ordered_pairs_grok_later(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-12."""
    parts, controls, used = [], [], []
    for fraction, arms in _rows(evidence, "ordered_pairs").items():
        for kind, runs in arms.items():
            if kind == "ordered" or "ordered" not in arms:
                continue
            later = time_ratio(arms["ordered"], runs, "val", level)
            part = effect(rule, f"{fraction}, ordered to {ROWS[kind]}", later)
            part = once_memorised(part, arms["ordered"], level)
            if kind == "all":
                parts.append(part)
                used += [arms["ordered"], runs]
            else:
                controls.append(part)
    return Findings(parts, controls, used)


def _ordered_triples_grok_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-13."""
    parts, controls, used = [], [], []
    for fraction, arms in _rows(evidence, "ordered_triples").items():
        for kind, runs in arms.items():
            if kind != "ordered" and "ordered" in arms:
                part = more_delayed(rule, f"{fraction}, ordered to {ROWS[kind]}", arms["ordered"], runs, level)
                (parts if kind == "all" else controls).append(part)
                used += [arms["ordered"], runs] if kind == "all" else []
    return Findings(parts, controls, used)


def _order_matters_more_at_three(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-18."""
    parts, controls, used = [], [], []
    triples, pairs = (_rows(evidence, name) for name in ("ordered_triples", "ordered_pairs"))
    for fraction in triples.keys() & pairs.keys():
        for kind in ("all", "all-as-many-rows"):
            arms = [group[fraction].get(name) for group in (triples, pairs) for name in ("ordered", kind)]
            if any(arm is None for arm in arms):
                continue
            seeds = set.intersection(*(set(arm.table["seed"]) for arm in arms))
            arms = [arm.take(np.flatnonzero(arm.table["seed"].isin(seeds).to_numpy())) for arm in arms]
            three, two = time_ratio(*arms[:2], "val", level), time_ratio(*arms[2:], "val", level)
            part = effect(rule, f"{fraction}, ordered to {ROWS[kind]}, K=3 less K=2", difference(three, two))
            (parts if kind == "all" else controls).append(part)
            used += arms if kind == "all" else []
    return Findings(parts, controls, used)


def _validation_loss_rises(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-14."""
    parts, used = [], []
    for (modulus, fraction), runs in cells(evidence, "modular_addition", "modulus", "train_fraction"):
        train, val = (runs.crossing(part, level)[0] for part in ("train", "val"))
        loss = runs.curve("val_loss").astype(np.float64)
        second = (runs.step >= train[:, None]) & (runs.step <= val[:, None]) & np.isfinite(loss)
        second &= (train < val)[:, None]  # a run that generalises while it memorises has no second phase: no rise
        peak = np.where(second, loss, -np.inf).max(1)
        values = np.where(second.any(1), np.log(np.where(second.any(1), peak, 1) / loss[:, 0]), 0.0)
        # A run that has not memorised may have a second phase yet; in one that has not validated it is not over.
        known = Between(np.where(np.isinf(train), -np.inf, values), np.where(np.isinf(val), np.inf, values))
        part = effect(rule, f"p={modulus}, alpha={fraction}", known, UNFITTED)
        parts.append(once_generalised(part, runs, level))
        used.append(runs)
    return Findings(parts, used=used)


def _wider_groks_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-15."""
    runs = evidence.get("width")
    if runs is None or len(runs.values("width")) < 2:
        return Findings([])
    widths, slopes, unknown = runs.values("width"), [], []
    for _, mine in runs.by("seed"):
        if len(mine) == len(widths):
            delay = mine.delay(level)
            known = np.isfinite(mine.crossing("val", level)[0]) & delay.known()
            logs = np.log(mine.column("width").astype(np.float64))
            slopes.append(float(np.polyfit(logs, delay.least, 1)[0]) if known.all() else 0.0)
            unknown.append(not known.all())
    unknown, slopes = np.array(unknown, bool), np.array(slopes)
    values = Between(np.where(unknown, -np.inf, slopes), np.where(unknown, np.inf, slopes))
    part = effect(rule, f"width {widths[0]} to {widths[-1]}", values, "seeds not every width got there")
    return Findings([part], used=[runs])


def _without_regularisation(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-16."""
    parts, controls, used = [], [], []
    for (dtype,), runs in cells(evidence, "no_regularisation", "loss_dtype"):
        hits = np.isfinite(runs.crossing("val", level)[0])
        part = majority(rule, f"loss in {dtype}", hits, ~hits & ended_early(runs, rule), TOO_EARLY)
        (parts if dtype == "float32" else controls).append(part)
        used += [runs] if dtype == "float32" else []
        last = runs.curve("train_softmax_collapse")[:, -1].astype(np.float64)
        label = f"loss in {dtype}: share of collapsed training rows at the end"
        controls.append(effect(rule, label, last, unit="points", smallest=0.5))
    return Findings(parts, controls, used)


def _smaller_steps_are_needed(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-17."""
    parts, controls, used = [], [], []
    for (model, fraction), runs in cells(evidence, "step_and_batch", "model", "train_fraction"):
        rates, batches = runs.values("learning_rate"), runs.values("batch_size")
        arms = {(rate, batch): runs.where(learning_rate=rate, batch_size=batch) for rate in rates for batch in batches}
        small, large = paired(arms[rates[0], batches[0]], arms[rates[-1], batches[-1]])
        values = difference(small.rise("val_accuracy", level), large.rise("val_accuracy", level))
        label = f"{_named(model)}, alpha={fraction}"
        if (rates[0], batches[0]) != (rates[-1], batches[-1]):
            between = f"{rates[0]:g}, {batches[0]} less {rates[-1]:g}, {batches[-1]}"
            why = "pairs one or both never memorised the training set"
            parts.append(effect(rule, f"{label}: {between}", values, why))
            used += [small, large]
        for (rate, batch), arm in arms.items():
            if len(arm):
                rise = arm.rise("val_accuracy", level)
                controls.append(effect(rule, f"{label}: rise at {rate:g}, {batch}", rise, UNFITTED))
    return Findings(parts, controls, used)


def _sgd_finds_the_least_norm(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PKU-P8."""
    parts, controls, used = [], [], []
    for (scale,), runs in cells(evidence, "minimum_norm", "init_scale"):
        part = majority(rule, f"started at norm {scale:g}", runs.curve("distance")[:, -1] < 1e-3)
        (parts if scale == 0 else controls).append(part)
        used += [runs] if scale == 0 else []
    return Findings(parts, controls, used, by_level=False)


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
    table = recorded_of(rule.study)["optimizers"]
    fractions = table["train_fraction"]

    def less(one, other):
        return [(a - b) / 100 for a, b in zip(table[one], table[other], strict=True)]

    if rule.id == "PKU-4":
        ends = recorded_of(rule.study)["architectures"]
        return [without_interval(rule, model, (ends[model] - ends["memoriser"]) / 100) for model in ("MLP", "ResNet")]
    if rule.id == "PKU-6":
        values = less("adam-1e-4-dropout", "adam-1e-4")
        return [without_interval(rule, f"alpha={a}", v) for a, v in zip(fractions, values, strict=True)]
    if rule.id == "PKU-7":
        over = float(np.mean(less("adamw-decay-1", "adamw-decay-0.05")))
        about = float(np.mean(less("adamw-decay-0.05", "adam-1e-4")))
        return [
            without_interval(rule, "decay 1 less decay .05", over),
            without_interval(rule, ABOUT_ADAM, about, smallest=rule.about[ABOUT_ADAM], about=True),
        ]
    if rule.id == "PKU-8":
        sgd = table["sgd-momentum"]
        return [without_interval(rule, f"alpha {fractions[-1]} less {fractions[0]}", (sgd[-1] - sgd[0]) / 100)]
    return []


def recorded_numbers() -> list[Number]:
    """What the source recorded or printed, to be compared with a replay of its code and with the clean setting."""
    table = recorded_of("pku")
    own = dict(modulus=47, train_fraction=0.3)
    read = [
        Number("modular_addition", "p=47, alpha=0.3: 99 % validation", 1900, "epochs", own, epochs_to_generalise),
        Number(
            "modular_addition",
            "p=97, alpha=0.3: 99 % validation",
            270,
            "epochs",
            own | dict(modulus=97),
            epochs_to_generalise,
        ),
        Number(
            "architectures",
            "LSTM, p=47, alpha=0.3: 99 % validation",
            12_000,
            "epochs",
            own | dict(model="lstm"),
            epochs_to_generalise,
        ),
    ]
    cell = dict(modulus=17, operands=2, dropout=0.1, learning_rate=7e-4)
    read.append(Number("operands", "p=17, K=2: highest validation accuracy", 5, "%", cell, highest_accuracy))
    optimizers = table["optimizers"]
    for arm, label in OPTIMIZERS.items():
        for fraction, value in zip(optimizers["train_fraction"], optimizers.get(arm, ()), strict=False):
            where = dict(modulus=97, variant=arm, train_fraction=fraction)
            what = f"{label}, alpha={fraction}: highest validation accuracy"
            read.append(Number("optimizers", what, value, "%", where, highest_accuracy))
    return read
