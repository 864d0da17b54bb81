"""The measures of the NANDA study: on a network made by hand, and from the command to the figure."""

import numpy as np
import pytest
from analysis import planted

import grokjax as gj
from grokjax import results
from grokjax.cli import drawing
from grokjax.experiments.nanda.measures import measure
from grokjax.live import LiveRun

P, KEYS = 13, [2, 5]


def live(keys, height, step):
    """A run whose network adds modulo 13 with these frequencies."""
    model, params, table = planted.decoder(P, keys, height)
    config = gj.Config(task=gj.tasks.modular("add", P), model=model, optimizer=gj.optimizers.AdamW(), batch_rule="full")
    train = planted.split(P).ravel()
    return LiveRun(config, model, params, step, table, train, np.asarray(table.labels))


@pytest.fixture(scope="module")
def found():
    return measure([live(KEYS, height, step) for step, height in ((0, 0.1), (100, 3.0), (200, 12.0))])


def test_planted_frequencies_are_the_keys(found):
    assert found["frequency"].values[found["key"].values].tolist() == KEYS
    assert found["snapshot"].values.tolist() == [0, 100, 200]
    assert set(found["neuron_frequency"].values[found["neuron_share"].values > 0.85]) == set(KEYS)
    assert found["single_frequency_neurons"] > 0.95 and found["key_logit_variance"] > 0.999


def test_losses_with_and_without_the_keys_are_those_of_their_formulas(found):
    for i, height in enumerate((0.1, 3.0, 12.0)):
        whole = planted.loss_of_cosines(P, dict.fromkeys(KEYS, height))
        one = planted.loss_of_cosines(P, {KEYS[0]: height})
        assert np.isclose(found["restricted_loss"][i], whole, rtol=1e-3, atol=1e-7)
        assert np.isclose(found["restricted_test_loss"][i], whole, rtol=1e-3, atol=1e-7)
        assert np.isclose(found["excluded_loss"][i], np.log(P), rtol=1e-3)
        assert np.isclose(found["excluded_loss_each"].sel(frequency=KEYS[1])[i], one, rtol=1e-3)
    assert np.isnan(found["excluded_loss_each"].sel(frequency=3)).all()
    assert np.isclose(found["test_loss_without_keys"], np.log(P), rtol=1e-3)
    assert np.isclose(found["test_loss_of_keys_alone"], found["whole_test_loss"], rtol=1e-2)


def test_maps_are_those_of_neurons_and_heads(found):
    assert found["attention_map"].shape == (2, P, P) and found["neuron_map"].shape == (4, P, P)
    # the planted heads attend from '=' to a alone, and to b alone
    assert np.allclose(found["attention_map"][0], 1) and np.allclose(found["attention_map"][1], 0)
    waves = found["neuron_plane"].values
    rows = [2 * key - place for key in KEYS for place in (1, 0)]
    rest = np.delete(np.arange(1, P), np.array(rows) - 1)
    assert waves[rows].max() == 1 and waves[np.ix_(rest, rest)].max() < 0.2


def test_from_the_command_to_measures_and_figure(tmp_path):
    from grokjax.cli.training import run
    from grokjax.study import find

    out = tmp_path / "nanda" / "modular_addition-quick.npz"
    out.parent.mkdir()
    tiny = ["--modulus=5", "--width=8", "--num_heads=2", "--train_fraction=0.6", "--steps=20", "--num_seeds=2"]
    run(find("nanda/modular_addition"), ["run", *tiny, "--eval_at=every:5", "--snapshots=3", f"--out={out}"])
    grid = results.with_measures(out)
    assert grid["restricted_loss"].dims == ("seed", "snapshot") and grid["key"].shape == (2, 2)
    assert drawing.drawn("nanda/modular_addition", out, tmp_path / "x.png").exists()
    results.measures_of(out).unlink()  # what is not measured yet says so
    assert drawing.drawn("nanda/modular_addition", out, tmp_path / "y.png").exists()
