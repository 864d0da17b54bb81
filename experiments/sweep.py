r"""Any grid of runs: every setting of the task, the model, the optimizer and the run is a flag.

    python experiments/sweep.py --operation=add --modulus=97 --train_fraction=0.3:0.8:0.05 --num_seeds=5 \
        --weight_decay=0,1 --steps=20000 --out=results/add.npz

writes one labelled NPZ; `--dry_run` tells what it would take, `--help` lists the flags.
"""

from grokjax.cli import sweep

if __name__ == "__main__":
    sweep()
