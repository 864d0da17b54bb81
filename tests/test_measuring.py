"""What is measured of trained runs is kept beside their result, run by run."""

import jax
import numpy as np
import pytest
import xarray as xr

import grokjax as gj
from grokjax import results
from grokjax.claims.runs import Runs

CONFIG = gj.Config(
    task=gj.tasks.modular("add", 7),
    model=gj.models.Decoder(width=8, num_heads=1, num_layers=1),
    optimizer=gj.optimizers.AdamW(),
    steps=20,
    eval_at="every:5",
    batch_size=8,
)


def norm(params):
    return float(np.sqrt(sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(params))))


def norms(snapshots):
    """The weight norm at every snapshot, and that of the final model."""
    found = [norm(run.params) for run in snapshots]
    steps = [run.step for run in snapshots]
    return xr.Dataset({"norm": ("snapshot", found), "final_norm": found[-1]}, {"snapshot": steps})


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of two fractions and two seeds with snapshots; its path."""
    path = tmp_path_factory.mktemp("swept") / "add.npz"
    gj.sweep(CONFIG, out=path, seed=range(2), train_fraction=[0.3, 0.6], snapshots=3, progress=False)
    return path


@pytest.fixture
def path(swept, tmp_path):
    """A copy of it without measures."""
    new = tmp_path / "add.npz"
    new.write_bytes(swept.read_bytes())
    (tmp_path / "add.params").symlink_to(swept.parent / "add.params")
    return new


def test_every_run_is_measured_at_every_snapshot_and_the_numbers_are_those_of_its_parameters(path):
    grid = gj.measure(path, norms, progress=False)
    assert grid["norm"].dims == (*grid["status"].dims, "snapshot")
    for place in ({"seed": 0, "train_fraction": 0.3}, {"seed": 1, "train_fraction": 0.6}):
        for step in grid["snapshot"].values.tolist():
            asked = norm(results.params(path, step=step, **place))
            assert float(grid["norm"].sel(place | {"snapshot": step})) == pytest.approx(asked, rel=1e-6)
        assert float(grid["final_norm"].sel(place)) == pytest.approx(norm(results.params(path, **place)), rel=1e-6)


def test_a_run_is_measured_once_and_again_when_asked(path):
    seen = []

    def counting(snapshots):
        seen.append(snapshots[-1].step)
        return xr.Dataset({"last": snapshots[-1].step})

    gj.measure(path, counting, progress=False)
    gj.measure(path, counting, progress=False)
    assert len(seen) == 4
    gj.measure(path, counting, overwrite=True, progress=False)
    assert len(seen) == 8


def test_measures_so_far_are_kept_when_measuring_is_interrupted(path):
    seen = []

    def interrupted(snapshots):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(1)
        return xr.Dataset({"last": snapshots[-1].step})

    with pytest.raises(KeyboardInterrupt):
        gj.measure(path, interrupted, progress=False)
    assert int(results.with_measures(path)["last"].notnull().sum()) == 2


def test_new_runs_of_a_sweep_are_measured_and_those_there_are_kept(tmp_path):
    path, seen = tmp_path / "add.npz", []

    def counting(snapshots):
        seen.append(snapshots[0].config.seed)
        return norms(snapshots)

    def measured(seeds):
        gj.sweep(CONFIG, out=path, seed=range(seeds), snapshots=2, progress=False)
        return gj.measure(path, counting, progress=False)

    first, more = measured(1), measured(2)
    assert seen == [0, 1]
    np.testing.assert_array_equal(more["norm"].sel(seed=0), first["norm"].sel(seed=0))


def test_measures_of_other_runs_are_left_out(path, tmp_path):
    gj.measure(path, norms, progress=False)
    other = tmp_path / "other.npz"
    gj.sweep(CONFIG, out=other, seed=[1, 5], train_fraction=[0.6], progress=False)
    results.measures_of(path).rename(results.measures_of(other))
    grid = results.with_measures(other)
    assert grid["final_norm"].sel(seed=1).notnull().all() and grid["final_norm"].sel(seed=5).isnull().all()
    assert "norm" not in results.with_measures(path)


@pytest.mark.parametrize(
    "wrong",
    [3, xr.Dataset({"val_loss": 1.0}), xr.Dataset({"x": ("seed", [1.0])}), xr.Dataset({"x": "text"})],
    ids=["no dataset", "a name of the result", "an axis of the result", "text"],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(path, wrong):
    with pytest.raises(gj.ResultError, match="A measure of .* gave"):
        gj.measure(path, lambda snapshots: wrong, progress=False)
    assert not results.measures_of(path).exists()


def test_claims_read_measures_of_the_runs_they_select(path):
    runs = Runs.of(gj.measure(path, norms, progress=False))
    some = runs.where(seed=1, train_fraction=0.6)
    assert len(some) == 1
    assert some.measured("norm").dims == ("run", "snapshot")
    assert float(some.measured("norm")[0, -1]) == some.column("final_norm")[0]
    with pytest.raises(ValueError, match="no measure gini"):
        runs.measured("gini")


def test_a_result_of_one_run_and_no_axes_has_measures_too(tmp_path):
    path = tmp_path / "one.npz"
    gj.sweep(CONFIG, out=path, train_fraction=0.6, snapshots=3, progress=False)
    grid = gj.measure(path, norms, progress=False)
    assert grid["final_norm"].shape == () and grid["norm"].dims == ("snapshot",)
    assert np.isclose(grid["final_norm"], grid["norm"][-1])
