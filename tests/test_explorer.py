"""The page of a grid: what is in it, without a browser; tests/browse.py opens it in one."""

import html.parser
import json
import re
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from test_plot import INF, STEP, grid

from grokjax import plot, results
from grokjax.analysis.statistics import log_rank, survival
from grokjax.cli import exploring
from grokjax.cli.places import reference
from grokjax.explorer import explore
from grokjax.explorer.packing import BITS, packed, rounded, unpacked


class Parts(html.parser.HTMLParser):
    """The ids of a page, the text of its elements that have one, and the addresses that it refers to."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.addresses, self._here = {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self._here = of.get("id", self._here if tag == "option" else None)
        if self._here:
            self.texts.setdefault(self._here, "")
        self.addresses += [of[name] for name in ("src", "href") if name in of]

    def handle_data(self, text):
        if self._here:
            self.texts[self._here] += text


def parts(page):
    return Parts(page.html)


def tree(page):
    return unpacked(parts(page).texts["data"])


def several():
    return grid(fractions=(0.2, 0.4, 0.6), seeds=4, never=(0.2,), absent=(0.6,), weight_decay=np.array([0.0, 1.0]))


def test_what_is_packed_is_unpacked_to_its_last_bit_and_curves_to_a_half_of_their_last_digit():
    rng = np.random.default_rng(0)
    exact = np.array([0.1, INF, -INF, np.nan, 1e-320, 0.0])
    curves = (rng.normal(size=(3, 50)) * 10.0 ** rng.integers(-30, 30, (3, 50))).astype(np.float32)
    curves[0, :3] = np.nan, INF, -INF
    told = unpacked(packed({"a": [exact, "text", None], "b": {"c": curves, "d": np.float64([[1.5]])}}))
    np.testing.assert_array_equal(told["a"][0], exact)
    assert told["a"][1:] == ["text", None] and told["b"]["d"].tolist() == [[1.5]]
    np.testing.assert_allclose(told["b"]["c"], curves, rtol=2.0 ** -(BITS + 1))
    np.testing.assert_array_equal(told["b"]["c"], rounded(curves))
    with pytest.raises(TypeError, match="int64"):
        packed(np.arange(3))


def test_the_numbers_of_a_page_are_those_of_its_grid():
    made = several()
    page = tree(explore(made))
    assert page["step"].tolist() == STEP.tolist() and page["status"] == made["status"].values.ravel().tolist()
    numbers = {one["name"]: one["values"] for one in page["numbers"]}
    assert list(numbers)[:2] == ["steps_to_val_99", "final_val_accuracy"]
    ran = made["status"].values.ravel() != "not run"
    for name in ("steps_to_val_99", "steps_to_train_99", "final_val_accuracy", "last_step"):
        np.testing.assert_array_equal(numbers[name], np.where(ran, made[name].values.ravel(), np.nan))
    curves = {one["name"]: one["parts"] for one in page["quantities"]}
    assert list(curves) == ["accuracy", "loss"]
    for part in ("train", "val"):
        for name in ("accuracy", "loss"):
            whole = results.filled(made)[f"{part}_{name}"].values.reshape(-1, STEP.size)
            np.testing.assert_allclose(curves[name][part], whole, rtol=2.0 ** -(BITS + 1))
    axes = [(one["name"], one["values"], one["seeds"]) for one in page["axes"]]
    assert axes[0] == ("train_fraction", ["0.2", "0.4", "0.6"], False) and axes[1][0::2] == ("seed", True)


def test_times_are_estimated_of_each_cell_with_its_censored_runs_and_tested_against_the_first_of_each_axis():
    made = several()
    found = {one["name"]: one for one in tree(explore(made))["times"]}["steps_to_val_99"]
    cells = [
        made.sel(train_fraction=fraction, weight_decay=decay) for fraction in (0.2, 0.4, 0.6) for decay in (0.0, 1.0)
    ]
    assert [cell and (cell["runs"], cell["never"]) for cell in found["cells"]] == [(4, 4)] * 2 + [(4, 0)] * 2 + [
        None
    ] * 2
    for cell, told in list(zip(cells, found["cells"], strict=True))[:4]:
        times, last = cell["steps_to_val_99"].values, cell["last_step"].values
        curve = survival(times, last)
        np.testing.assert_array_equal(told["steps"], curve.steps)
        np.testing.assert_allclose(
            [told["share"], told["low"], told["high"]], 1 - np.array([curve.share, curve.high, curve.low])
        )
    assert found["cells"][0]["censored"].tolist() == [5000] * 4 and found["cells"][0]["censored_at"].tolist() == [0] * 4
    against = found["p_values"]["train_fraction"]
    first, second = ([cell[name].values for name in ("steps_to_val_99", "last_step")] for cell in cells[::2][:2])
    assert against[2] == log_rank(*second, *first) < 0.05
    assert np.isnan(against[[0, 1, 4, 5]]).all() and found["p_values"]["weight_decay"][1] == 1.0


def test_a_page_asks_for_nothing_and_has_every_element_that_its_script_looks_for():
    page = explore(several(), title="</script><b>mine</b>")
    read = parts(page)
    assert read.addresses == ["data:,"] and "<b>mine" not in page.html
    assert not re.search(r"""(?:fetch|import|XMLHttpRequest)\(?\s*["']https?:""", page.html)
    script = resources.files("grokjax.explorer").joinpath("page.js").read_text("utf-8")
    made = set(re.findall(r'\bid: "([\w-]+)"', script)) | set(re.findall(r'choice\("([\w-]+)"', script))
    assert set(re.findall(r'byId\("([\w-]+)"\)', script)) <= set(read.texts) | made
    for name in ("curves", "map", "times"):
        figure = json.loads(read.texts[f"{name}-figure"])
        assert figure["target_id"] == name and name in read.texts
        sources = set(re.findall(rf'source\("{name}", "(\w+)"\)', script))
        assert sources and all(f'"name":"{one}"' in read.texts[f"{name}-figure"] for one in sources)
    colors = json.loads(read.texts["look"])["parts"]
    assert {part: of["color"] for part, of in colors.items()} == plot.COLORS


def test_a_selection_of_a_grid_a_lone_run_and_names_have_a_page():
    lone = tree(explore(grid(seeds=1).isel(train_fraction=0, seed=0)))
    assert lone["axes"] == [] and len(lone["status"]) == 1 and lone["places"] == [0, 0]
    names = grid(fractions=(0.2, 0.4), optimizer=np.array(["adamw", "sgd"])).isel(seed=[0])
    assert [axis["numeric"] for axis in tree(explore(names))["axes"]] == [True, True, False]
    with pytest.raises(ValueError, match="nothing to draw"):
        explore(grid(absent=(0.2, 0.4, 0.6)))
    with pytest.raises(ValueError, match="no curves"):
        explore(grid().drop_vars(["train_accuracy", "val_accuracy", "train_loss", "val_loss"]))


def test_the_page_of_a_thousand_noisy_runs_of_300_evaluations_stays_under_5_mb():
    rng = np.random.default_rng(0)
    level = np.linspace(0, 1, 300) ** 3 + rng.normal(0, 0.02, (2, 100, 300))
    accuracy = (np.clip(level, 0, 1) * 5000).round() / 5000
    loss = np.exp(-5 * level + rng.normal(0, 0.1, level.shape))
    of_100 = len(packed([each.astype(np.float32) for each in (*accuracy, *loss)]))
    empty = len(explore(grid()).html.encode())
    assert empty < 1.5e6 and empty + 10 * of_100 < 4.5e6


def test_a_page_is_written_whole_and_shown_in_a_notebook(tmp_path):
    page = explore(grid(), tmp_path / "new" / "grid.html")
    assert page.path.read_text("utf-8") == page.html and [page.path] == list(page.path.parent.iterdir())
    assert repr(page).endswith(f"MB in {page.path}>")
    assert (
        page._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;') and "<!DOCTYPE" not in page._repr_html_()
    )


def test_the_command_writes_a_page_beside_the_result_or_says_in_a_sentence_what_is_amiss(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(reference() / "demo" / "quickstart-quick.npz", "mine.npz")
    exploring.explore_command(["grokjax explore", "mine.npz"])
    assert "page    mine.html (1." in capsys.readouterr().out and "<title>mine</title>" in Path("mine.html").read_text()
    exploring.explore_command(["grokjax explore", "demo/quickstart", "--preset=quick", "--out=demo.html"])
    assert "<title>demo/quickstart-quick</title>" in Path("demo.html").read_text() and capsys.readouterr().out
    for arguments, said in {
        (): "No result is named",
        ("none.npz",): "There is no result file none.npz",
        ("pku/wdth",): "Did you mean pku/width",
        ("mine.npz", "--out=mine.png"): "does not end in .html",
        ("mine.npz", "--preset=quick"): "is of an experiment",
        ("mine.npz", "more.npz"): "2 results are named",
        ("mine.npz", "--out=mine.html/more.html"): "mine.html",
    }.items():
        with pytest.raises(SystemExit) as ended:
            exploring.explore_command(["grokjax explore", *arguments])
        told = capsys.readouterr().err
        assert ended.value.code == 1 and said in told and len(told.splitlines()) == 1, told


def test_a_grid_draws_and_tabulates_itself():
    made = several()
    chosen = made.isel(weight_decay=[0])
    assert len(chosen.gj.curves(by="train_fraction").lines) == len(plot.curves(chosen, by="train_fraction").lines)
    heat = made.gj.heatmap("steps_to_val_99", x="train_fraction", y="weight_decay")
    assert heat.get_xlabel() == "train fraction (alpha)"
    assert made.gj.crossings().get_ylabel() == "steps to 99 % accuracy"
    assert made.gj.arrivals("train_fraction").get_xlabel() == "step"
    assert made.gj.explore().html == explore(made).html
    assert made.gj.tidy().equals(results.tidy(made))
    assert made.gj.summary("weight_decay").equals(results.summary(made, "weight_decay"))
    assert made.gj.grokked().equals(results.grokked(made))
    plot.close()
