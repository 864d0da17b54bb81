"""The experiments on scale-invariant networks, from a real command at a tiny size to measures and figure."""

import numpy as np
import pytest

from grokjax import results
from grokjax.cli import drawing, training
from grokjax.experiments.melnik import periodicity, scale_invariance
from grokjax.experiments.melnik.arms import GROUPS

TINY = ["--modulus=7", "--width=8", "--num_heads=2", "--batch_size=8", "--num_seeds=1"]


def trained(experiment, folder, *more):
    """The result of an experiment's command, with its measures, and where its figure was drawn."""
    path = folder / f"{experiment.name.partition('/')[2]}-quick.npz"
    training.run(experiment, [experiment.name, *TINY, *more, f"--out={path}"])
    drawing.show(experiment.name, ["draw", f"--result={path}", f"--out={folder / 'figure.png'}"])
    assert (folder / "figure.png").exists()
    return results.with_measures(path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return trained(scale_invariance.EXPERIMENT, tmp_path_factory.mktemp("measured"), "--steps=6", "--variant=pre;none")


def of_group(measured, arm, group):
    """Change when a group is doubled relative to a random change, at the first and last parameters."""
    cell = measured.sel(variant=arm, seed=0).isel(group=list(GROUPS).index(group))
    return (cell["change"] / cell["random_change"]).values


def test_declared_weights_are_measured_to_be_invariant_and_others_not(measured):
    assert (of_group(measured, "pre", "declared") < 1e-2).all() and (of_group(measured, "pre", "mlp_in") < 1e-2).all()
    for group in ("query", "logits", "all"):
        assert (of_group(measured, "pre", group) > 0.05).all()
    assert (
        np.isnan(of_group(measured, "none", "declared")).all() and (of_group(measured, "none", "mlp_in") > 0.05).all()
    )


def test_the_loss_is_constant_along_rays_of_declared_weights_alone_and_is_that_of_the_run_at_its_weights(measured):
    declared, everything = measured["plane_loss"].sel(variant="pre", seed=0).values
    np.testing.assert_allclose(declared, np.broadcast_to(declared[:1], declared.shape), rtol=2e-3)
    assert np.ptp(everything, axis=0).max() > 0.05 and np.ptp(declared, axis=1).min() > 0.05
    here = (np.abs(scale_invariance.RADIUS - 1) < 1e-9), (np.abs(scale_invariance.ANGLE) < 1e-9)
    final = float(measured["train_loss"].sel(variant="pre", seed=0)[-1])
    for plane in (declared, everything):
        assert plane[here].item() == pytest.approx(final, rel=1e-4)
    assert np.isnan(measured["plane_loss"].sel(variant="none", seed=0)[0]).all()


def test_a_result_without_measures_says_in_its_figure_how_to_get_them(measured):
    figure = drawing.figure("melnik/scale_invariance").draw(
        measured.drop_vars(["change", "random_change", "plane_loss"])
    )
    assert all("not measured yet" in ax.texts[0].get_text() for ax in figure.axes)


def test_periodicity_from_command_to_figure(tmp_path):
    grid = trained(periodicity.EXPERIMENT, tmp_path, "--steps=120", "--eval_at=every:2", "--num_layers=1")
    kept = grid["invariant_norms.weight"].values, grid["weight_norm"].values
    assert (kept[0] < kept[1]).all() and np.isfinite(kept[0]).all()
    assert np.isfinite(grid["invariant_norms.gradient"].values[..., 1:]).all()
