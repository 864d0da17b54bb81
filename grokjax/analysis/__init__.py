"""What is read off results and trained runs. Modules here that need only NumPy and SciPy never import JAX.

What a network that adds modulo p (or multiplies, or composes permutations) has learned, over its training:

    import numpy as np
    import xarray as xr
    import grokjax as gj
    from grokjax.analysis import frequencies, groups, progress, spectra, square, variance

    runs = list(gj.snapshots("add.npz", seed=0, weight_decay=1.0))  # the last one is the final model
    group, pairs = groups.of(runs[-1].config.task), square.operands(runs[-1].table)
    keys = frequencies.key_frequencies(spectra.output_spectrum(spectra.output_map(runs[-1].params), group))
    logits = square.square(np.stack([run.logits()[:, 0] for run in runs]), pairs)  # [step, a, b, class]
    logits = xr.DataArray(logits, dims=("step", "a", "b", "class"), coords={"step": [run.step for run in runs]})
    losses = progress.progress(logits, square.square_mask(runs[-1].train_rows, pairs), keys, group)
    explained = variance.logit_variance(logits, group).where(keys).sum("frequency")
"""
