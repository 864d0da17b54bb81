"""The library's page: its longer example runs, at a tiny size."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "library.md"
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
