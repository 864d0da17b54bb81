"""The verb `draw`: what a figure is given."""

import types

import fuzz_meta
import matplotlib.pyplot as plt
import pytest

from grokjax import results
from grokjax.cli import drawing


@pytest.fixture
def folder(tmp_path):
    """Results of two experiments of a study, one of them of two presets."""
    for name in ("mine-quick", "other-quick", "other-paper"):
        path = tmp_path / "study" / f"{name}.npz"
        path.parent.mkdir(exist_ok=True)
        arrays, meta = fuzz_meta.small()
        results.write(path, arrays, meta | {"preset": name})
    return tmp_path / "study"


def test_a_figure_is_given_the_results_of_the_same_preset_that_it_names(monkeypatch, folder):
    given = {}

    def draw(grid, **others):
        given.update(others)
        return plt.figure()

    module = types.SimpleNamespace(BESIDE=("other", "missing"), draw=draw)
    monkeypatch.setattr(drawing, "figure", lambda name: module)
    drawing.drawn("study/mine", folder / "mine-quick.npz", folder / "mine.png")
    assert given["missing"] is None and '"other-quick"' in given["other"].attrs["meta"]


def test_a_result_beside_it_that_cannot_be_read_is_left_out_and_named(monkeypatch, folder, capsys):
    (folder / "other-quick.npz").write_text("no result")
    module = types.SimpleNamespace(BESIDE=("other",), draw=lambda grid, other: plt.figure() if other is None else None)
    monkeypatch.setattr(drawing, "figure", lambda name: module)
    assert drawing.drawn("study/mine", folder / "mine-quick.npz", folder / "mine.png").exists()
    assert "other-quick.npz is left out of the figure" in capsys.readouterr().err
