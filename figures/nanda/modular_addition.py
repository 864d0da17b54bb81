"""What a transformer learns of x+y mod p, and when: curves with their phases, frequencies, heat maps, hidden progress.

After figures 1 to 7 of Nanda et al. 2023, drawn from experiments/nanda/modular_addition.py. One run is shown in detail,
the first that has ended, with its phases shaded; the others are thin lines. Steps are on a logarithmic axis, unlike the
source's, for memorisation takes so few of them that a linear axis hides it.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import grokjax as gj
from grokjax.claims.runs import Runs
from grokjax.cli import show
from grokjax.experiments.nanda.times import doubled, ends_of_phases, evaluated_loss, halved, over_snapshots
from grokjax.figures.nanda.shared import modulus_of, nothing_yet, setting_of
from grokjax.plot.panels import count
from grokjax.plot.style import COLORS, EDGE, OTHERS
from grokjax.results import UNFINISHED

PHASES = {"memorisation": "#E8E8E8", "circuit formation": "#D5E8F5", "clean-up": "#FBE5D6"}
EXCLUDED, RESTRICTED = OTHERS[1], OTHERS[2]
TIMES = {
    "99 % training accuracy": (COLORS["train"], "o"),
    "excluded loss doubled": (EXCLUDED, "s"),
    "restricted loss halved": (RESTRICTED, "D"),
    "test loss halved": (COLORS["val"], "v"),
    "99 % test accuracy": (COLORS["val"], "o"),
}
"""What the panel of times shows of each run, and its colour and mark."""

LEGEND = dict(fontsize=7, handlelength=1.4, columnspacing=1.2, borderaxespad=0.2)
UNMEASURED = "not measured yet:\ngrokjax run nanda/modular_addition\nends by measuring its runs"


def draw(grid):
    """The figure."""
    grid = one_cell(grid)
    runs = Runs.of(grid)
    place = shown_run(grid)
    one = grid.isel(seed=place)
    ended = str(one["status"].values) not in UNFINISHED
    mine = runs.where(seed=int(one["seed"])) if ended else None
    ends = ends_of_phases(mine)[0] if ended else None
    figure, axes = plt.subplots(4, 3, figsize=(13.5, 13), layout="constrained")
    losses(axes[0, 0], grid, one, ends)
    accuracies(axes[0, 1], grid, one, ends)
    weights(axes[0, 2], grid, one, ends)
    if "restricted_loss" not in grid or mine is None or np.isnan(one["excluded_loss"]).all():
        for ax in axes[1:].flat:
            nothing_yet(ax, UNMEASURED)
    else:
        progress(axes[1, 0], grid, one, ends)
        each_frequency(axes[1, 1], one, ends)
        times(axes[1, 2], runs)
        embedding(axes[2, 0], one)
        keys_of_seeds(axes[2, 1], grid)
        logits(axes[2, 2], grid, one, ends)
        shown = one.isel(shown=0)
        neuron = int(shown["shown_neuron"])
        title = f"neuron {neuron} (k = {int(one['neuron_frequency'].values[neuron])})"
        picture(figure, axes[3, 0], shown["neuron_map"], title, "activation / its largest")
        head = int(np.argmax(one["attention_map"].var(("a", "b")).values))
        title = f"attention of head {head} from = to a"
        picture(figure, axes[3, 1], one["attention_map"].isel(head=head), title, "attention weight")
        plane(figure, axes[3, 2], one)
    figure.suptitle(f"x+y mod {modulus_of(grid)}: {count(grid)}; in detail seed {int(one['seed'])}", fontsize=11)
    legend(figure, grid.sizes["seed"] > 1)
    return figure


def one_cell(grid):
    """The grid along seeds alone, at the first values of other axes that ran."""
    if "seed" not in grid.dims:
        grid = grid.expand_dims("seed") if "seed" in grid.coords else grid.expand_dims(seed=[setting_of(grid, "seed")])
    for dim in [dim for dim in grid["status"].dims if dim != "seed"]:
        others = [other for other in grid["status"].dims if other != dim]
        grid = grid.isel({dim: int((grid["status"] != "not run").any(others).argmax())})
    return grid


def shown_run(grid) -> int:
    """The place of the first seed whose run has ended; else of the first that has begun."""
    status = [str(one) for one in grid["status"].values]
    found = [i for i, one in enumerate(status) if one not in UNFINISHED]
    return (found or [i for i, one in enumerate(status) if one != "not run"])[0]


def over_steps(ax, grid, ends, label: str) -> None:
    """An axis of steps up to the last of the grid, and the phases of a run behind it, as far as they have ended.

    The axis is linear below the decade in which memorisation ends, so that the steps before take little room.
    """
    steps = grid["step"].values
    last = float(grid["last_step"].max())
    start = ends[0] if ends is not None and np.isfinite(ends[0]) else 0.0
    gj.plot.step_axis(ax, "x", steps[(steps <= last) & ((steps == 0) | (steps >= start))])
    ax.set(xlabel="step (all training rows are one batch)", ylabel=label)
    edges = [0.0, *(min(end, last) for end in ends)] if ends is not None else []
    for (_, color), left, right in zip(PHASES.items(), edges, edges[1:], strict=False):
        ax.axvspan(left, right, color=color, lw=0, zorder=0)


def legend_above(ax, title: str, handles) -> None:
    """A legend between a panel and its title, where it hides no curve."""
    columns = max(1, min(len(handles), 6))
    ax.set_title(title, pad=8 + 11 * -(-len(handles) // columns))
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=columns, **LEGEND)


def lines(ax, grid, one, name: str, color) -> None:
    """A curve of every run up to its end, thin, and of the one in detail, bold."""
    step, ends = grid["step"].values, grid["last_step"].values
    for seed, curve, end in zip(grid["seed"].values, grid[name].transpose("seed", "step").values, ends, strict=True):
        look = dict(lw=1.8) if seed == one["seed"] else dict(lw=0.6, alpha=0.4)
        ax.plot(step[step <= end], curve[step <= end], color=color, **look)


def losses(ax, grid, one, ends) -> None:
    """Training and test loss."""
    for part in COLORS:
        lines(ax, grid, one, f"{part}_loss", COLORS[part])
    ax.set_yscale("log")
    over_steps(ax, grid, ends, "loss (nats)")
    ax.set_title("loss")


def accuracies(ax, grid, one, ends) -> None:
    """Training and test accuracy."""
    for part in COLORS:
        lines(ax, grid, one, f"{part}_accuracy", COLORS[part])
    gj.plot.percent_axis(ax, "y")
    over_steps(ax, grid, ends, "accuracy")
    ax.set_title("accuracy")


def weights(ax, grid, one, ends) -> None:
    """Weight norm, and how sparse the Fourier components are."""
    lines(ax, grid, one, "weight_norm", OTHERS[0])
    over_steps(ax, grid, ends, "weight norm")
    handles = [Line2D([], [], color=OTHERS[0], lw=1.8, label="weight norm")]
    names = {"gini.embedding": OTHERS[3], "gini.output_map": OTHERS[5]}
    if names.keys() <= set(grid.data_vars):
        right = ax.twinx()
        right.grid(False)
        right.spines["right"].set_visible(True)
        for name, color in names.items():
            lines(right, grid, one, name, color)
            part = name.partition(".")[2].replace("_", " ")
            handles += [Line2D([], [], color=color, lw=1.8, label=f"Gini, {part}")]
        right.set(ylabel="Gini coefficient", ylim=(0, 1))
    legend_above(ax, "weight norm; Gini coefficients", handles)


def over_training(ax, measure, one, color) -> None:
    """A measure of every run over its snapshots, thin, and of the one in detail, bold."""
    step = measure["snapshot"].values
    for seed, curve in zip(measure["seed"].values, measure.transpose("seed", "snapshot").values, strict=True):
        known = ~np.isnan(curve)
        look = dict(lw=1.8) if seed == one["seed"] else dict(lw=0.6, alpha=0.4)
        ax.plot(step[known], curve[known], color=color, **look)


def progress(ax, grid, one, ends) -> None:
    """Restricted and excluded loss beside the test loss."""
    lines(ax, grid, one, "val_loss", COLORS["val"])
    over_training(ax, grid["excluded_loss"], one, EXCLUDED)
    over_training(ax, grid["restricted_loss"], one, RESTRICTED)
    ax.set_yscale("log")
    over_steps(ax, grid, ends, "loss (nats)")
    names = (("test loss", COLORS["val"]), ("excluded loss, training rows", EXCLUDED), ("restricted loss", RESTRICTED))
    legend_above(ax, "hidden progress", [Line2D([], [], color=color, lw=1.8, label=name) for name, color in names])


def each_frequency(ax, one, ends) -> None:
    """The loss on training rows without one key frequency."""
    step, keys = one["snapshot"].values, one["frequency"].values[one["key"].values == 1]
    for i, key in enumerate(keys):
        curve = one["excluded_loss_each"].sel(frequency=key).transpose("snapshot").values
        known = ~np.isnan(curve)
        ax.plot(step[known], curve[known], color=OTHERS[i % len(OTHERS)], lw=1.6, label=f"k = {key}")
    ax.set_yscale("log")
    over_steps(ax, one, ends, "loss, training rows (nats)")
    legend_above(ax, "loss without one key frequency k", ax.get_legend_handles_labels()[0])


def times(ax, runs: Runs) -> None:
    """When training, the measures and the test loss move, seed by seed."""
    drop = [halved(line)[0] for line in evaluated_loss(runs)]
    excluded = [doubled(line)[0] for line in over_snapshots(runs, "excluded_loss")]
    restricted = [halved(line)[0] for line in over_snapshots(runs, "restricted_loss")]
    train, test = (runs.crossing(part, 99)[0] for part in ("train", "val"))
    seeds = runs.column("seed")
    for (label, (color, mark)), values in zip(TIMES.items(), (train, excluded, restricted, drop, test), strict=True):
        look = dict(mfc="none") if label.startswith("99 %") else {}
        ax.plot(values, np.arange(len(seeds)), ls="none", marker=mark, ms=7, color=color, label=label, **look)
    ax.set_yticks(np.arange(len(seeds)), [str(seed) for seed in seeds])
    ax.set_ylim(1.6 * len(seeds) + 0.5, -0.5)  # room for the legend
    known = np.concatenate([train, test, drop, excluded, restricted])
    known = known[np.isfinite(known) & (known > 0)]
    gj.plot.time_axis(ax, "x", known if len(known) else np.array([1.0]))
    ax.set(xlabel="step", ylabel="seed", title="what comes first")
    ax.legend(loc="lower center", ncols=2, fontsize=7)


def embedding(ax, one) -> None:
    """The norm of the embedding's components at the end, key frequencies marked."""
    norms = one["embedding_norm"].dropna("snapshot", how="all").isel(snapshot=-1)
    first = one["embedding_norm"].isel(snapshot=0)
    keys = one["key"].values == 1
    colors = np.where(keys, COLORS["val"], "#9CBFD8")
    ax.bar(one["frequency"].values, norms.values, color=colors, width=0.8, label="at the end")
    ax.step(one["frequency"].values, first.values, where="mid", color=EDGE, lw=0.9, label="at the start")
    ax.set(xlabel="frequency k", ylabel="norm", title="Fourier components of the embedding")
    ax.set_ylim(0, 1.4 * float(norms.max()))  # room for the legend
    handles = [Patch(color=COLORS["val"], label="key frequency"), Patch(color="#9CBFD8", label="others")]
    ax.legend(handles=[*handles, Line2D([], [], color=EDGE, lw=0.9, label="at the start")], loc="upper right")


def keys_of_seeds(ax, grid) -> None:
    """The key frequencies of every seed."""
    seeds = [i for i in range(grid.sizes["seed"]) if not np.isnan(grid["key"].values[i]).all()]
    for row, i in enumerate(seeds):
        keys = grid["frequency"].values[grid["key"].transpose("seed", "frequency").values[i] == 1]
        ax.plot(keys, np.full(len(keys), row), ls="none", marker="o", ms=7, color=COLORS["val"])
    ax.set_yticks(np.arange(len(seeds)), [str(grid["seed"].values[i]) for i in seeds])
    ax.set_ylim(len(seeds) - 0.5, -0.5)
    ax.set_xlim(0, float(grid["frequency"].max()) + 1)
    ax.set(xlabel="frequency k", ylabel="seed", title="key frequencies of each seed")


def logits(ax, grid, one, ends) -> None:
    """The share of logit variance in the key cosines, over training."""
    measured = ~grid["logit_variance"].isnull().all("frequency")
    share = grid["logit_variance"].where(grid["key"] == 1).sum("frequency").where(measured)
    over_training(ax, share, one, OTHERS[0])
    gj.plot.percent_axis(ax, "y")
    over_steps(ax, grid, ends, "share of logit variance")
    ax.set_title("logits in cos w(a + b - c) of the keys")


def picture(figure, ax, values, title: str, label: str) -> None:
    """A heat map over both operands."""
    image = ax.imshow(values.transpose("a", "b").values, origin="lower", cmap="viridis", interpolation="nearest")
    colorbar(figure, ax, image, label)
    ax.set(xlabel="b", ylabel="a", title=title)


def plane(figure, ax, one) -> None:
    """The norm of the neurons in the basis of cosines and sines of a and b, a row and a column for each of them.

    A few components are far larger than the rest, so the scale of colours is a root and ends below the largest.
    """
    values = one["neuron_plane"].transpose("wave_a", "wave_b").values
    known = np.isfinite(values).all(1)
    values = values[known][:, known]
    norm = PowerNorm(0.5, vmin=0, vmax=np.percentile(values, 99))
    image = ax.imshow(values, origin="lower", cmap="magma", interpolation="nearest", norm=norm)
    colorbar(figure, ax, image, "norm over neurons / its largest", extend="max")
    keys = one["frequency"].values[one["key"].values == 1]
    ax.set_xticks(2 * keys - 0.5, [f"{key}" for key in keys])
    ax.set_yticks(2 * keys - 0.5, [f"{key}" for key in keys])
    ax.set(xlabel="cos and sin of b", ylabel="cos and sin of a", title="neurons in the Fourier basis")


def colorbar(figure, ax, image, label: str, **look) -> None:
    """The bar of a picture, as high as it and beside it."""
    figure.colorbar(image, cax=ax.inset_axes([1.04, 0, 0.05, 1]), label=label, **look)
    ax.grid(False)


def legend(figure, several: bool) -> None:
    """What the lines and the shades are."""
    handles = [Line2D([], [], color=COLORS["train"], lw=2.2, label="training")]
    handles += [Line2D([], [], color=COLORS["val"], lw=2.2, label="test (all other rows)")]
    if several:
        handles += [Line2D([], [], color=EDGE, lw=0.6, label="other seeds")]
    handles += [Patch(color=color, label=name) for name, color in PHASES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


if __name__ == "__main__":
    show("nanda/modular_addition")
