"""How fast the engine trains, against what the machine can do and against PyTorch.

For every workload: run-steps per second of all devices together, the floating-point operations that a step needs in
matrix products, and the share of the machine's matrix-multiply peak that they make, the peak measured in the same
process, in turn with the steps. Needed are the products that remain once nothing is computed twice or unread: three
times `operations` of the model for a batch (forward, gradient of the inputs, gradient of the matrices); attention is
counted, everything that is no matrix product is not.

    python experiments/speed/benchmark.py                       # the workloads of the five sources, and a plain decoder
    python experiments/speed/benchmark.py --preset=pku --against=torch
    python experiments/speed/benchmark.py --preset=own --width=24,64 --batch_rule=full --json

With --against=torch (PyTorch installed) the same model is trained on the same batches by a plain PyTorch loop, in the
best of its arrangements for many runs on this machine (`torch_peer.py`): first both must come to the same training
loss, then their steps take turns. --against=torch_eager tries no compiled arrangement, which spares minutes. PyTorch's
models compute every position, as the papers' code does.

With --compile_for=tpu:v5e:2x2 nothing is run: the programs are compiled for an accelerator that need not be there, and
what they would need is told (`accelerators.py`).
"""

import dataclasses
import itertools
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

import jax
from jax.experimental.compilation_cache import compilation_cache

from grokjax.cli.flags import SWEEP_FLAGS, SWEEP_SWITCHES, Given, all_settings, base_config
from grokjax.cli.training import run_command
from grokjax.cli.values import parse_values, parse_variants
from grokjax.config import ConfigError, own_name, unknown_name
from grokjax.experiments.speed import accelerators, torch_peer
from grokjax.messages import say, show
from grokjax.study import Preset
from grokjax.sweeps import devices, forecast, programs
from grokjax.sweeps.axes import Arm
from grokjax.sweeps.engine import make_groups, widths
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.lanes import Bank

ROUNDS = 7
ROUND_SECONDS = 1.5
LOSS_STEPS = 20
LOSS_TOLERANCE = 1e-3
ACCELERATOR_LANES = 32
"""Lanes of a device that is no CPU, unless told otherwise."""

NANDA = "modulus=113 num_layers=1 norm=none bias=mlp positions=learned init_scheme=nanda"
PKU = "tokens='a o b =' batch_rule=fixed warmup_steps=0"
WORKLOADS = {
    "nanda": f"{NANDA} loss_dtype=float64",
    "nanda_full": f"{NANDA} loss_dtype=float64 batch_rule=full train_fraction=0.3",
    "power": "tokens='<eos> a o b = c <eos>' min_batches=2",
    "pku": f"{PKU} model=encoder_decoder batch_size=1024 learning_rate=5e-4 eps=1e-9",
    "pku_dropout": f"{PKU} model=encoder_decoder batch_size=1024 learning_rate=5e-4 eps=1e-9 dropout=0.1",
    "lstm": f"{PKU} model=lstm b1=0.96 b2=0.99 batch_size=256",
    "mlp": f"{PKU} model=mlp modulus=47 learning_rate=7e-4 b1=0.96 b2=0.99 batch_size=80",
    "huang_24": f"{NANDA} output=numbers batch_rule=full train_rows=3000 width=24",
    "huang_64": f"{NANDA} output=numbers batch_rule=full train_rows=3000 width=64",
    "periodic": "tokens='a b' init_scheme=normal optimizer=sgd learning_rate=0.1 decay=gradient weight_decay=0.001 "
    "warmup_steps=0 train_fraction=0.4 norm=pre inner_norm=true norm_affine=false",
    "decoder_1": "num_layers=1",
    "decoder_2": "num_layers=2",
}
"""The sources' models, batches and optimizers, by settings; mod 97, width 128 and batches of 512 where not said."""


PRESETS = ("all", *WORKLOADS, "own")


def preset(name: str) -> Preset:
    """All workloads, one of them, or for `own` what the other flags say."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    names = {"all": tuple(WORKLOADS), "own": ()}.get(name, (name,))
    read = parse_variants("; ".join(f"{one}: {WORKLOADS[one]}" for one in names), all_settings()) if names else {}
    return Preset(base_config(), arms=tuple(Arm(one, one, settings) for one, settings in read.items()))


SWITCHES = {
    "json": "print a line of JSON per workload instead of a table",
    "brief": "one short round, which shows that it works and not how fast",
}
WITHOUT = {*SWEEP_FLAGS, *SWEEP_SWITCHES} - {"num_seeds", "zip", "variant", "metrics", "lanes", "num_devices"}
"""Flags of a sweep that have no meaning here: the benchmark writes nothing, and is one process."""
TEXTS = {
    "against": "compare with torch, in its best arrangement, or torch_eager, in its best that is not compiled",
    "compile_for": "compile for an accelerator that need not be there, such as tpu:v5e:2x2, and run nothing",
    "lanes": "runs that advance together on a device; several numbers, as 1,8,64, give a row each",
}
COLUMNS = {
    "workload": lambda row: row["workload"],
    "lanes": lambda row: str(row["lanes"]),
    "compile s": lambda row: f"{row['compile_seconds']:.1f}",
    "cached s": lambda row: f"{row['cached_seconds']:.1f}",
    "memory": lambda row: forecast.size(row["memory_bytes"]),
    "Mflop/step": lambda row: f"{row['step_operations'] / 1e6:,.1f}",
    "run-steps/s": lambda row: f"{row['run_steps_per_second']:,.1f}",
    "GFLOP/s": lambda row: f"{row['operations_per_second'] / 1e9:,.1f}",
    "peak": lambda row: f"{row['matmul_peak'] / 1e9:,.1f}",
    "share": lambda row: f"{row['share_of_peak']:.0%}",
    "eval/50": lambda row: f"{row['evaluation_per_50_steps']:.0%}",
}
AGAINST_COLUMNS = {
    "torch": lambda row: f"{row['torch_run_steps_per_second']:,.1f}",
    "ratio": lambda row: f"{row['ratio']:.1f}",
    "in": lambda row: row["torch_arrangement"],
}


class Workload:
    """One configuration, a full bank of it on every device."""

    def __init__(self, run, where, lanes):
        self.run, self.where = run, where
        self.lanes = widths(where[0], ACCELERATOR_LANES, lanes)[-1]
        (self.group,) = make_groups([run])
        self.need = forecast.requirements(self.group, where[0], self.lanes)
        if self.need.operations is None:
            raise ConfigError(f"The operations of the model {type(run.config.model).__name__} are not known. Try ours.")
        self.compile_seconds, self.cached_seconds = self._compile()
        workspace = self._program(where[0]).workspace
        self.need = dataclasses.replace(self.need, workspace=workspace)
        self.banks = [self._bank(device) for device in where]

    def _compile(self):
        """Seconds to compile the program with an empty cache, and with what is then in the cache."""
        folder, kept = tempfile.mkdtemp(prefix="grokjax-"), jax.config.jax_compilation_cache_dir
        try:
            return [self._compile_into(folder) for _ in range(2)]
        finally:
            jax.config.update("jax_compilation_cache_dir", kept)
            compilation_cache.reset_cache()
            shutil.rmtree(folder)

    def _compile_into(self, folder):
        programs.forget()
        jax.clear_caches()
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
        begin = time.perf_counter()
        self._program(self.where[0])
        return time.perf_counter() - begin

    def _program(self, device):
        group = self.group
        return programs.compiled(group.program, group.values, group.arrays, self.lanes, device)

    def _bank(self, device):
        bank = Bank(self.group.program, self._program(device), self.group.arrays, self.lanes, device)
        for lane in range(self.lanes):
            bank.put(lane, self.run)
        return bank

    def seconds(self, num_steps, evaluates=False):
        """Wall time of so many steps of every lane of every device."""

        def advance(bank):
            bank.state, measured = bank.dispatch(num_steps, evaluates, [evaluates] * self.lanes)
            measured.values.block_until_ready()

        begin = time.perf_counter()
        threads = [threading.Thread(target=advance, args=(bank,)) for bank in self.banks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    def rate(self, num_steps):
        """Run-steps per second over so many steps."""
        return num_steps * self.lanes * len(self.where) / self.seconds(num_steps)

    def loss(self, num_steps):
        """The training loss so many steps after the initial weights."""
        bank = self._bank(self.where[0])
        _, measured = bank.dispatch(num_steps, True, [True] * self.lanes)
        return float(measured.values.reshape(self.lanes, -1)[0, measured.names.index("train_loss")])


def measure(name, run, where, lanes, num_rounds, seconds, against):
    """The figures of one workload: medians over rounds in which peak, steps, evaluation and PyTorch take turns."""
    workload = Workload(run, where, lanes)
    workload.seconds(2, True)
    num_steps = max(1, round(seconds / workload.seconds(5) * 5))
    peer = peer_of(workload, against, seconds) if against else None
    columns = {name: [] for name in ("peak", "rate", "share", "evaluation", "torch", "ratio")}
    try:
        peer_steps = max(1, round(seconds / peer.seconds(2) * 2)) if peer else 0
        for _ in range(num_rounds):
            peak, rate = devices.matmul_peak(where, run.config.precision, seconds / 5), workload.rate(num_steps)
            row = dict(peak=peak, rate=rate, share=rate * workload.need.operations / peak)
            steps_alone = workload.lanes * len(where) / rate
            row["evaluation"] = workload.seconds(0, True) / (50 * steps_alone)
            if peer:
                row["torch"] = peer.rate(peer_steps)
                row["ratio"] = rate / row["torch"]
            for column, value in row.items():
                columns[column].append(value)
    finally:
        if peer:
            peer.close()
    median = {column: statistics.median(values) for column, values in columns.items() if values}
    found = dict(
        workload=name,
        device=devices.describe(where),
        lanes=workload.lanes,
        compile_seconds=workload.compile_seconds,
        cached_seconds=workload.cached_seconds,
        memory_bytes=workload.need.memory,
        step_operations=workload.need.operations,
        run_steps_per_second=median["rate"],
        operations_per_second=median["rate"] * workload.need.operations,
        matmul_peak=median["peak"],
        share_of_peak=median["share"],
        shares=columns["share"],
        evaluation_per_50_steps=median["evaluation"],
        rounds=num_rounds,
    )
    if peer:
        found |= dict(torch_run_steps_per_second=median["torch"], ratio=median["ratio"], ratios=columns["ratio"])
        found |= dict(torch_arrangement=str(peer.arrangement))
    return found


def peer_of(workload, against, seconds):
    """PyTorch's best arrangement for a workload, once it has come to the same loss; the others are told of."""
    job, device = torch_peer.job(workload.run, workload.group), workload.where[0].platform
    candidates = torch_peer.arrangements("cuda" if device in ("gpu", "cuda") else "cpu", len(workload.where))
    if against == "torch_eager":
        candidates = [arrangement for arrangement in candidates if not arrangement.compiled]

    def tell(trial):
        told = f"{trial.rate:,.1f} run-steps/s" if trial.rate is not None else f"cannot: {trial.failure}"
        say(f"torch, {trial.arrangement}: {told}")

    peer, _ = torch_peer.best(job, candidates, seconds, tell)
    ours, theirs = workload.loss(LOSS_STEPS), peer.loss(LOSS_STEPS)
    if not job.drops and not abs(ours - theirs) <= LOSS_TOLERANCE * abs(theirs):
        peer.close()
        raise ConfigError(
            f"After {LOSS_STEPS} steps the training loss is {ours:.6f} here and {theirs:.6f} in PyTorch: they do not "
            "compute the same, so their speeds are not compared."
        )
    return peer


def _lanes(text: str) -> list[int]:
    """The numbers of lanes in the text of a flag; ConfigError for one that is not positive."""
    read = parse_values("lanes", text, kind=int)
    numbers = read if isinstance(read, list) else [read]
    if min(numbers) < 1:
        raise ConfigError(f"lanes={text} asks for no lane. Try --lanes=1,8,64.")
    return numbers


def benchmark(given: Given) -> None:
    """Measures every workload of the grid and prints it."""
    options = dict(given.options)
    as_json, against = options.get("json", False), options.get("against")
    num_rounds, seconds = (1, 0.05) if options.get("brief", False) else (ROUNDS, ROUND_SECONDS)
    lanes = _lanes(options["lanes"]) if "lanes" in options else [None]
    described = accelerators.device(options["compile_for"]) if "compile_for" in options else None
    where = devices.local_devices(options.get("num_devices"))
    keywords = preset(own_name(given.preset or PRESETS[0], PRESETS)).overridden(given.values)
    config, zipped = keywords.pop("config"), options.get("zip") or keywords.pop("zip")
    keywords.pop("zip", None)
    config = dataclasses.replace(config, metrics=given.metrics or ())
    if against not in (None, "torch", "torch_eager"):
        raise ConfigError(f"against={against} is nothing to compare with. Try --against=torch.")
    if against:
        torch_peer.check_torch()
    grid, rows = make_grid(config, keywords, zipped), []
    for run, number in itertools.product(grid.runs(), lanes):
        name = grid.name_of(run).removeprefix("variant=")
        if described is None:
            rows.append(measure(name, run, where, number, num_rounds, seconds, against))
        else:
            rows.append(accelerators.measure(name, run, number or 1, described))
        if as_json:
            show(json.dumps(rows[-1]))
    if not as_json:
        columns = COLUMNS | (AGAINST_COLUMNS if against else {}) if described is None else accelerators.COLUMNS
        table = [tuple(columns), *(tuple(cell(row) for cell in columns.values()) for row in rows)]
        cell_widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            show("  ".join(cell.rjust(width) for cell, width in zip(line, cell_widths, strict=True)))
        if described is None:
            where, how = devices.describe(where), f"medians of {num_rounds} rounds"
        else:
            where, how = f"one {described.device_kind}, which is not here", "compiled and not run"
        show(f"{where}; {how}; operations counted in matrix products alone.")


def main(argv: Sequence[str] | None = None) -> None:
    """`grokjax benchmark`, or the script."""
    argv = list(sys.argv if argv is None else argv)
    run_command(benchmark, argv, doc=__doc__, presets=PRESETS, switches=SWITCHES, texts=TEXTS, without=WITHOUT)


if __name__ == "__main__":
    main()
