import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from matplotlib import colors  # noqa: E402

from grokjax import plot, results  # noqa: E402
from grokjax.analysis.statistics import log_rank  # noqa: E402

INF = float("inf")
STEP = np.array([0, 50, 100, 500, 1000, 5000])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def grid(fractions=(0.2, 0.4, 0.6), seeds=2, never=(), absent=(), fill="last", stop=5000, **axes):
    """Runs [train_fraction, seed, further axes] memorised at 100; validation arrives at 500 to 5000 or never.

    `never` and `absent` list the train fractions whose runs do not generalise or are not run; `stop` is the
    last step of every run at train fraction 0.6.
    """
    axes = {"train_fraction": np.array(fractions), "seed": np.arange(seeds)} | axes
    shape = tuple(len(v) for v in axes.values())
    fraction = np.broadcast_to(axes["train_fraction"].reshape(-1, *[1] * (len(shape) - 1)), shape)
    lost, gone = np.isin(fraction, never), np.isin(fraction, absent)
    last = np.where(gone, -1, np.where(np.isclose(fraction, 0.6), stop, 5000))
    arrival = np.where(lost, INF, np.where(fraction < 0.3, 5000.0, np.where(fraction < 0.5, 1000.0, 500.0)))
    known = last[..., None] >= STEP

    def curve(values):
        return np.where(known, values, np.nan).astype(np.float32)

    train = curve(np.where(np.isin(STEP, [0, 50]), 0.1, 1.0))
    val = curve(np.where(arrival[..., None] <= STEP, 1.0, 0.1))
    arrays = {
        "train_accuracy": train,
        "val_accuracy": val,
        "train_loss": 1.1 - train,
        "val_loss": 1.1 - val,
        "steps_to_train_99": np.where(gone, np.nan, 100.0),
        "steps_to_val_99": np.where(gone, np.nan, arrival),
        "final_val_accuracy": np.where(gone, np.nan, np.where(lost, 0.1, 1.0)).astype(np.float32),
        "status": np.where(gone, "not run", "finished"),
        "last_step": last,
        "run_id": np.array([f"r{i}" for i in range(gone.size)]).reshape(shape),
    }
    dims = {n: [*axes, "step"][: a.ndim] for n, a in arrays.items()} | {n: [n] for n in [*axes, "step"]}
    arrays |= {n: np.asarray(v) for n, v in axes.items()} | {"step": STEP}
    return results.to_dataset(arrays, {"dims": dims}, fill=fill)


def lines(ax, width):
    return [line for line in ax.lines if line.get_linewidth() == pytest.approx(width)]


def marks(ax, marker):
    """[points, 2] of all the finite points drawn with a marker."""
    points = np.concatenate([line.get_xydata() for line in ax.lines if line.get_marker() == marker])
    return points[np.isfinite(points).all(axis=1)]


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def draw_all(figure):
    figure.canvas.draw()


# --- curves


def test_six_runs_or_more_have_a_band_around_their_median():
    few, many = plot.curves(grid(fractions=(0.4,), seeds=5)), plot.curves(grid(fractions=(0.4,), seeds=6))
    assert len(few.collections) == 0 and len(many.collections) == 2


def test_epochs_are_steps_by_steps_per_epoch_and_differ_in_none_of_the_runs():
    whole = grid().assign(steps_per_epoch=grid().last_step * 0 + 50)
    ax = plot.curves(whole, clock="epoch", legend=False)
    assert ax.get_xlabel() == "epoch" and ax.get_legend() is None
    assert lines(ax, 2.2)[0].get_xdata()[-1] == 100
    mixed = whole.assign(steps_per_epoch=whole.last_step * 0 + np.array([1, 2, 2])[:, None])
    with pytest.raises(ValueError, match="An epoch has 1, 2 steps in these runs. Try clock='step', or select."):
        plot.curves(mixed, clock="epoch")


# --- arrivals


def test_arrivals_step_up_at_each_crossing_and_tick_who_never_came():
    ax = plot.arrivals(grid(never=(0.2,)), "train_fraction")
    never, early = lines(ax, 1.8)[0], lines(ax, 1.8)[1]
    assert set(never.get_ydata()) == {0.0} and early.get_ydata()[-1] == 1
    assert 1000 in early.get_xdata() and texts(ax) == ["0.2 (2 runs)", "0.4 (2 runs)", "0.6 (2 runs)"]
    ticks = [line.get_xydata() for line in ax.lines if line.get_marker() == "|"]
    assert [len(points) for points in ticks] == [2, 0, 0] and ticks[0].tolist() == [[5000, 0]] * 2


def test_arrivals_of_three_runs_or_more_are_compared_with_the_first_line():
    ax = plot.arrivals(grid(seeds=3, never=(0.2,)), "train_fraction")
    first, second, _ = texts(ax)
    times = [np.full(3, INF), np.full(3, 1000.0)]
    expected = log_rank(times[1], np.full(3, 5000), times[0], np.full(3, 5000))
    assert first == "0.2 (3 runs)" and second == f"0.4 (3 runs), p = {expected:.2g}"


def test_arrivals_of_nothing_that_ended_say_so():
    with pytest.raises(ValueError, match="No run of this grid has run yet"):
        plot.arrivals(grid(absent=(0.2, 0.4, 0.6)), "train_fraction")


def test_every_run_is_a_thin_line_and_every_group_has_a_bold_median():
    ax = plot.curves(grid())
    assert len(lines(ax, 0.6)) == 2 * 3 * 2 and len(lines(ax, 2.2)) == 2 * 3
    assert ax.get_title() == "6 runs, 2 seeds"
    assert texts(ax)[-4:] == ["train fraction (alpha)", "0.2", "0.4", "0.6"]


def test_runs_of_seeds_alone_are_drawn_in_the_two_colours():
    ax = plot.curves(grid().sel(train_fraction=0.2))
    got = {colors.to_hex(line.get_color()).upper() for line in ax.lines}
    assert got == set(plot.COLORS.values()) and ax.get_title() == "2 runs"


def test_the_median_line_is_the_median_of_the_runs():
    given = grid(seeds=3).sel(train_fraction=0.4)
    given["val_accuracy"].values[:] = np.array([[0.1] * 6, [0.2] * 6, [0.9] * 6])
    bold = lines(plot.curves(given, parts=["val"]), 2.2)[0]
    np.testing.assert_allclose(bold.get_ydata(), 0.2, rtol=1e-6)


@pytest.mark.parametrize("fill", ["last", None])
def test_a_run_that_stopped_ends_there_but_stays_in_the_median(fill):
    given = grid(fractions=(0.2, 0.6), seeds=1, stop=500, fill=fill)
    pooled = given.isel(seed=0, drop=True).rename(train_fraction="split_seed")
    ax = plot.curves(pooled, parts=["val"])
    assert sorted(line.get_xdata().max() for line in lines(ax, 0.6)) == [500, 5000]
    bold = lines(ax, 2.2)[0]
    assert bold.get_xdata().max() == 5000
    at = dict(zip(bold.get_xdata(), bold.get_ydata(), strict=True))
    assert at[1000] == pytest.approx(0.55) and at[5000] == pytest.approx(1.0)


def test_a_median_ends_with_the_longest_of_its_runs():
    bold = lines(plot.curves(grid(stop=500).sel(train_fraction=0.6)), 2.2)
    assert [line.get_xdata().max() for line in bold] == [500, 500]


def test_step_zero_stands_at_the_left_edge_under_its_own_number():
    ax = plot.curves(grid())
    draw_all(ax.figure)
    assert ax.get_xlim() == (0.0, 5000.0) and ax.get_xscale() == "symlog"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "10", "100", "1k"]
    ticks = ax.transData.transform([(t, 0) for t in ax.get_xticks()])[:, 0]
    assert np.diff(ticks).min() > 20  # pixels: the labels do not run into each other


def test_a_single_run_is_one_line_per_part_without_a_legend_of_medians():
    ax = plot.curves(grid().isel(train_fraction=0, seed=0))
    assert ax.get_title() == "1 run" and texts(ax) == ["training", "validation"]


def test_a_legend_of_many_values_shows_a_few():
    ax = plot.curves(grid(fractions=np.linspace(0.2, 0.8, 13).round(3)))
    assert texts(ax)[-5:] == ["0.2", "0.35", "0.5", "0.65", "0.8"]


def test_two_axes_need_a_choice_and_the_title_names_what_is_pooled():
    two = grid(weight_decay=[0.0, 1.0])
    with pytest.raises(ValueError, match="varies in train_fraction, weight_decay.* Pass by='train_fraction'"):
        plot.curves(two)
    ax = plot.curves(two, by="weight_decay")
    assert ax.get_title() == "12 runs, 2 seeds, pooled over train fraction (alpha)"
    assert len(lines(ax, 2.2)) == 2 * 2


def test_losses_are_on_a_logarithmic_axis_and_accuracies_in_percent():
    ax = plot.curves(grid(), quantity="loss")
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "loss (nats)"
    ax = plot.curves(grid())
    draw_all(ax.figure)
    assert "100%" in [t.get_text() for t in ax.get_yticklabels()]


def test_runs_that_were_not_run_are_not_drawn_but_counted():
    ax = plot.curves(grid(absent=[0.4]))
    assert ax.get_title() == "4 of 6 runs, 2 seeds" and len(lines(ax, 0.6)) == 2 * 4


# --- crossings


def test_every_run_is_a_dot_at_its_time_and_a_triangle_at_its_last_step_if_it_never_got_there():
    ax = plot.crossings(grid(never=[0.2], absent=[0.4]))
    dots, triangles = marks(ax, "o"), marks(ax, "^")
    assert sorted(dots[:, 1]) == [100, 100, 100, 100, 500, 500]
    assert triangles[:, 1].tolist() == [5000, 5000] and np.allclose(triangles[:, 0], 0.2, atol=0.05)
    assert all(line.get_markerfacecolor() == "none" for line in ax.lines if line.get_marker() == "^")
    assert [t.get_text() for t in ax.texts] == ["2"]
    assert ax.get_title() == "4 of 6 runs, 2 seeds" and ax.get_xlabel() == "train fraction (alpha)"


def test_dots_stand_so_near_their_value_that_they_are_not_taken_for_another():
    for fractions in [(0.2, 0.6), (0.2, 0.4, 0.6), tuple(np.linspace(0.2, 0.6, 9))]:
        ax = plot.crossings(grid(fractions=fractions))
        off = np.abs(marks(ax, "o")[:, :1] - np.array(fractions)).min(axis=1)
        assert off.min() > 0 and off.max() < 0.02 * 0.4


def test_a_median_that_is_never_reached_has_no_dash():
    ax = plot.crossings(grid(never=[0.2]))
    assert sorted(marks(ax, "_")[:, 1]) == [100, 100, 100, 500, 1000]


def test_runs_that_all_are_censored_still_make_a_picture():
    given = grid(never=[0.2, 0.4, 0.6])
    given["steps_to_train_99"].values[:] = INF
    ax = plot.crossings(given)
    draw_all(ax.figure)
    assert len(marks(ax, "^")) == 12 and len(marks(ax, "_")) == 0
    low, high = ax.get_ylim()
    assert low < 5000 < high


def test_names_are_categories_without_a_line_between_them():
    named = grid().assign_coords(optimizer=("train_fraction", ["adamw", "sgd", "adam"]))
    ax = plot.crossings(named, x="optimizer")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["adamw", "sgd", "adam"]
    assert all(line.get_linestyle() == "None" for line in ax.lines)


def test_a_zipped_number_that_repeats_has_one_median_for_all_its_runs():
    given = grid(seeds=1).assign_coords(learning_rate=("train_fraction", [0.1, 0.2, 0.2]))
    dashes = marks(plot.crossings(given, x="learning_rate"), "_")
    assert sorted(dashes[:, 1]) == [100, 100, 750, 5000]


def test_a_time_of_zero_has_a_place():
    given = grid()
    given["steps_to_train_99"].values[0] = 0.0
    ax = plot.crossings(given)
    draw_all(ax.figure)
    assert ax.get_yscale() == "symlog" and ax.get_ylim()[0] == 0


def test_one_run_and_one_value_make_a_picture():
    ax = plot.crossings(grid(fractions=(0.4,), seeds=1))
    draw_all(ax.figure)
    assert ax.get_title() == "1 run" and [t.get_text() for t in ax.get_xticklabels()] == ["0.4"]


# --- heat maps


def patches(ax):
    hatched = {p.get_xy() for p in ax.patches if p.get_hatch()}
    return hatched, {p.get_xy() for p in ax.patches if not p.get_hatch()}


def test_cells_are_medians_and_the_never_reached_and_not_run_are_marked():
    given = grid(never=[0.2], absent=[0.4], weight_decay=[0.0, 1.0])
    ax = plot.heatmap(given, "steps_to_val_99", x="train_fraction", y="weight_decay")
    draw_all(ax.figure)
    hatched, grey = patches(ax)
    assert hatched == {(0, 0), (0, 1)} and grey == {(1, 0), (1, 1)}
    assert texts(ax) == ["never reached", "not run"]
    cells = ax.collections[0].get_array()
    assert cells[:, 2].tolist() == [500, 500] and cells.mask[:, :2].all()
    assert isinstance(ax.collections[0].norm, colors.LogNorm)
    assert ax.get_xlabel() == "train fraction (alpha)" and ax.get_ylabel() == "weight decay"
    assert ax.get_title() == "median of 8 of 12 runs, 2 seeds"


def test_half_the_runs_of_a_cell_never_arriving_hatch_it():
    given = grid(weight_decay=[0.0, 1.0])
    given["steps_to_val_99"].loc[dict(train_fraction=0.4, weight_decay=1.0, seed=0)] = INF
    hatched, grey = patches(plot.heatmap(given, "steps_to_val_99", "train_fraction", "weight_decay"))
    assert hatched == {(1, 1)} and not grey


def test_accuracies_use_the_whole_scale_and_the_axes_may_be_swapped():
    given = grid(never=[0.2], weight_decay=[0.0, 1.0])
    a = plot.heatmap(given, "final_val_accuracy", "train_fraction", "weight_decay").collections[0]
    b = plot.heatmap(given, "final_val_accuracy", "weight_decay", "train_fraction").collections[0]
    np.testing.assert_array_equal(a.get_array(), b.get_array().T)
    assert (a.norm.vmin, a.norm.vmax) == (0, 1)


def test_a_map_of_nothing_but_never_is_all_hatched():
    ax = plot.heatmap(grid(never=[0.2, 0.4, 0.6]), "steps_to_val_99", "train_fraction", "seed")
    draw_all(ax.figure)
    assert len(patches(ax)[0]) == 6 and not ax.collections


def test_a_map_of_one_value_has_a_scale_around_it():
    ax = plot.heatmap(grid(), "steps_to_train_99", "train_fraction", "seed")
    draw_all(ax.figure)
    assert ax.collections[0].norm.vmin < 100 < ax.collections[0].norm.vmax
    assert ax.get_title() == "6 runs"  # one in each cell, so there is no median


@pytest.mark.parametrize("low, high", [(100, 100), (150, 180), (4100, 4150), (90, 1100), (0.011, 3.0)])
def test_every_logarithmic_scale_has_two_labelled_ticks_or_more(low, high):
    given = grid(fractions=(0.2, 0.4), seeds=1)
    given["steps_to_train_99"].values[:, 0] = [low, high]
    ax = plot.heatmap(given, "steps_to_train_99", "train_fraction", "seed")
    draw_all(ax.figure)
    bar = ax.figure.axes[1]
    bottom, top = bar.get_ylim()
    shown = [t for t in bar.get_yticks() if bottom <= t <= top]
    assert len(shown) >= 2 and len({t.get_text() for t in bar.get_yticklabels()}) == len(bar.get_yticks())


# --- all of them


@pytest.mark.parametrize(
    "draw, message",
    [
        (
            lambda g: plot.curves(g, by="width"),
            "width is not an axis of this grid. The axes .* train_fraction, seed",
        ),
        (
            lambda g: plot.curves(g, quantity="norm"),
            "This grid has no train_norm to draw, only .*val_accuracy",
        ),
        (lambda g: plot.curves(g.median("seed")), "no status to draw"),
        (lambda g: plot.crossings(g, x="width"), "width is not an axis of this grid"),
        (lambda g: plot.crossings(g, level=42), "no steps_to_train_42 to draw"),
        (
            lambda g: plot.crossings(g.isel(train_fraction=0, seed=0)),
            "train_fraction .* This grid has no axes",
        ),
        (lambda g: plot.heatmap(g, "final_val_accuracy", "seed", "seed"), "both lie along seed"),
        (lambda g: plot.heatmap(g, "val_accuracy", "seed", "train_fraction"), "is not one value per run"),
        (lambda g: plot.heatmap(g, "final_val_accuracy", "seed", "depth"), "depth is not an axis"),
    ],
)
def test_what_cannot_be_drawn_is_answered_with_what_there_is(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(grid())


def test_a_grid_in_which_nothing_has_run_says_so():
    with pytest.raises(ValueError, match="No run of this grid has run yet"):
        plot.curves(grid(absent=[0.2, 0.4, 0.6]))


def test_a_given_axes_is_drawn_on_and_matplotlibs_settings_stay_as_they_were():
    with mpl.rc_context({"axes.titlesize": 33}):
        before = dict(mpl.rcParams)
        _, ax = plt.subplots()
        assert plot.curves(grid(), ax=ax) is ax and plot.crossings(grid()) is not ax
        assert dict(mpl.rcParams) == before and len(plt.get_fignums()) == 2


def test_drawing_leaves_the_grid_as_it_was():
    given = grid(fill=None, stop=500)
    before = given.copy(deep=True)
    plot.curves(given)
    plot.crossings(given)
    plot.heatmap(given, "steps_to_val_99", "train_fraction", "seed")
    assert given.identical(before)


def test_a_figure_is_saved_as_png_and_pdf_and_twice_the_same(tmp_path):
    first = plot.save(plot.curves(grid()).figure, tmp_path / "new" / "alpha.0.3")
    second = plot.save(plot.curves(grid()).figure, tmp_path / "second.pdf")
    assert first == tmp_path / "new" / "alpha.0.3.png" and second == tmp_path / "second.png"
    for suffix in (".png", ".pdf"):
        a, b = (p.with_name(p.name.removesuffix(".png") + suffix).read_bytes() for p in (first, second))
        assert a == b and len(a) > 1000


def test_shades_go_from_light_to_dark_and_one_is_the_colour_itself():
    ramp = plot.shades("#0072B2", 5)
    brightness = [sum(shade) for shade in ramp]
    assert brightness == sorted(brightness, reverse=True) and len(set(ramp)) == 5
    assert all(0 <= channel <= 1 for shade in ramp for channel in shade)
    assert colors.to_hex(plot.shades("#0072B2", 1)[0]).upper() == "#0072B2"
