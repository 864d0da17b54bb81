"""The longer examples of the library's page and of that on own parts run, at a tiny size."""

import re
from pathlib import Path

import numpy as np

import grokjax as gj

PAGE = Path(__file__).parents[1] / "docs" / "library.md"
OWN_PARTS = PAGE.with_name("own_parts.md")
TINY = {"59": "7", "60": "8", "6_000": "20", "every:100": "every:10", "snapshots=50": "snapshots=3", "64": "8"}


def test_what_a_network_has_learned_is_read_off_in_ten_lines(tmp_path, monkeypatch, capsys):
    section = PAGE.read_text().partition("## What has my network learned?")[2].partition("\n## ")[0]
    code = "".join(re.findall(r"^```python\n(.*?)^```", section, re.S | re.M))
    assert "gj.snapshots(" in code and "class Mine(nn.Module)" in code
    for word, small in TINY.items():
        assert word in code
        code = code.replace(word, small)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert [len(names[name].dims) for name in ("spectrum", "keys")] == [1, 1] and names["group"].order == 6
    assert np.isfinite(names["losses"]["restricted_loss"].sel(part="test")).all()
    assert capsys.readouterr().out


def test_the_examples_of_own_parts_train(monkeypatch):
    code = "".join(re.findall(r"^```python\n(.*?)^```", OWN_PARTS.read_text(), re.S | re.M))
    short = 'batch_size=16, steps=4, eval_at="every:2")'
    tiny = {"59": "7", "60": "8", "64": "8", "[32, 8]": "[4, 8]", "range(10)": "[0]", "10_000": "200"}
    tiny |= {'{"norm": my_norm})': '{"norm": my_norm}, ' + short, "loss=focal)": "loss=focal, " + short}
    tiny |= {"images / 16, digits": "images[:40] / 16, digits[:40]", "train_rows=200": "train_rows=20"}
    tiny |= {"20_000": "4", "log:150": "every:2", "range(3)": "[0]"}
    for words, small in tiny.items():
        assert words in code
        code = code.replace(words, small)
    grids, sweep = [], gj.sweep
    monkeypatch.setattr(gj, "sweep", lambda *given, **named: grids.append(sweep(*given, progress=False, **named)))
    exec(compile(code, str(OWN_PARTS), "exec"), {})
    assert [dict(grid.sizes) for grid in grids] == [
        {"lamb": 3, "width": 2, "seed": 1, "step": 3},
        {"learning_rate": 2, "strength": 2, "step": 3},
        {"init_scale": 2, "seed": 1, "step": 3},
    ]
    assert all((grid.status == "finished").all() and grid.train_loss.notnull().all() for grid in grids)
