"""The demo: modular addition on a one-layer transformer, over train fractions and seeds, in one compiled program.

Shows grokking and how it depends on the size of the training set: with a third of the table the network memorises at
once and generalises ten times later or not within the budget; with more data the gap closes.

A run ends when validation accuracy has held 99 %. Pilots (seeds 0 and 1; the demo's are 10 to 13): learning rate 1e-2
spikes, 2e-3 on mod 59 takes longer than the demo has, a post-LayerNorm model shows ratios below 4. With a batch of
256 the epochs of fraction 0.55 end in a batch of 8 rows, and its median time to generalise was 2,850, against 600 at
0.5 and 400 at 0.6 (with the demo's seeds, so these had been seen once); 288 leaves at least 104 rows for the last batch
of every fraction.

Source: the effect is Power et al. 2022, arXiv:2201.02177 (figure 1); the architecture is Nanda et al. 2023,
arXiv:2301.05217 (one layer, no LayerNorm), narrower, on x+y mod 53 and with a larger learning rate, to take minutes.
"""

import grokjax as gj
from grokjax.cli import run
from grokjax.study import Experiment, Preset

CONFIG = gj.Config(
    task=gj.tasks.modular("add", 53),
    model=gj.models.Decoder(
        num_layers=1, width=64, num_heads=4, norm="none", bias="mlp", positions="learned", init_scheme="nanda"
    ),
    optimizer=gj.optimizers.AdamW(learning_rate=3e-3, weight_decay=1.0),
    batch_size=288,
    steps=6000,
    eval_at="every:50",
    stop_accuracy=0.99,
)
QUICK = Preset(
    CONFIG,
    axes={"train_fraction": [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6], "seed": range(10, 14)},
    size="seven train fractions, four seeds",
)

EXPERIMENT = Experiment(name="demo/quickstart", doc=__doc__, presets={"quick": QUICK})

if __name__ == "__main__":
    run(EXPERIMENT)
