"""How fast the engine trains, against what the machine can do.

For every configuration that the flags span: run-steps per second of all devices together, the floating-point
operations that a step needs in matrix products, and the share of the machine's matrix-multiply peak that they make,
the peak measured in the same process, in turn with the steps. Needed are the products that remain once nothing is
computed twice or unread (`Decoder.operations`); attention is counted, everything that is no matrix product is not.

    python experiments/benchmark.py                            # 1 and 2 layers, width 128, batch 512, mod 97
    python experiments/benchmark.py --width=24,64 --batch_rule=full --json
"""

import json
import statistics
import threading
import time

from grokjax.config import ConfigError
from grokjax.sweeps import devices
from grokjax.sweeps.engine import default_lanes, make_groups
from grokjax.sweeps.flags import guarded
from grokjax.sweeps.forecast import step_operations
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.lanes import Bank
from grokjax.sweeps.programs import compiled

ROUNDS = 7
ROUND_SECONDS = 1.5
PRESETS = {"quick": {"num_layers": "1,2"}}
SWITCHES = {
    "json": "print a line of JSON per configuration instead of a table",
    "brief": "one short round, which shows that it works and not how fast",
}
COLUMNS = (
    "configuration",
    "lanes",
    "compile s",
    "run-steps/s",
    "Mflop/step",
    "GFLOP/s",
    "peak",
    "share",
    "eval/50 steps",
)


class Workload:
    """One configuration, a full bank of it on every device."""

    def __init__(self, run, where, lanes):
        (group,) = make_groups([run])
        self.operations = step_operations(group.program, group.arrays)
        self.lanes = lanes or default_lanes(where[0])
        self.banks = [None] * len(where)

        def make(i, device):
            program = compiled(group.program, group.values, group.arrays, self.lanes, device)
            self.banks[i] = Bank(group.program, program, group.arrays, self.lanes, device)
            for lane in range(self.lanes):
                self.banks[i].put(lane, run)

        begin = time.perf_counter()
        together(make, enumerate(where))
        self.compile_seconds = time.perf_counter() - begin

    def seconds(self, num_steps, evaluates=False):
        """Wall time of so many steps of every lane of every device."""

        def advance(bank):
            bank.state, measured = bank.dispatch(num_steps, evaluates, [evaluates] * self.lanes)
            measured.values.block_until_ready()

        begin = time.perf_counter()
        together(advance, ((bank,) for bank in self.banks))
        return time.perf_counter() - begin


def together(function, arguments):
    """Calls `function` once per tuple of arguments, each in a thread, and waits for all."""
    threads = [threading.Thread(target=function, args=given) for given in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(run, name, where, lanes, num_rounds, seconds):
    """The figures of one configuration: medians over rounds in which peak, steps and evaluation take turns."""
    workload = Workload(run, where, lanes)
    workload.seconds(2, True)
    num_steps = max(1, round(seconds / workload.seconds(5) * 5))
    rounds = []
    for _ in range(num_rounds):
        peak = devices.matmul_peak(where, run.config.precision, seconds / 5)
        steps, evaluation = workload.seconds(num_steps), workload.seconds(0, True)
        rate = num_steps * workload.lanes * len(where) / steps
        rounds.append((rate, peak, rate * workload.operations / peak, evaluation / (50 * steps / num_steps)))
    rate, peak, share, evaluation = (statistics.median(column) for column in zip(*rounds, strict=True))
    return dict(
        configuration=name,
        device=devices.describe(where),
        lanes=workload.lanes,
        compile_seconds=workload.compile_seconds,
        run_steps_per_second=rate,
        step_operations=workload.operations,
        operations_per_second=rate * workload.operations,
        matmul_peak=peak,
        share_of_peak=share,
        shares=[row[2] for row in rounds],
        evaluation_per_50_steps=evaluation,
        rounds=num_rounds,
    )


def cells(row):
    """A row of the table."""
    return (
        row["configuration"],
        f"{row['lanes']}",
        f"{row['compile_seconds']:.1f}",
        f"{row['run_steps_per_second']:,.1f}",
        f"{row['step_operations'] / 1e6:,.1f}",
        f"{row['operations_per_second'] / 1e9:,.1f}",
        f"{row['matmul_peak'] / 1e9:,.1f}",
        f"{row['share_of_peak']:.0%}",
        f"{row['evaluation_per_50_steps']:.0%}",
    )


def benchmark(keywords):
    """Measures every configuration of the grid and prints it."""
    as_json, lanes = keywords.pop("json", False), keywords.pop("lanes", None)
    num_rounds, seconds = (1, 0.05) if keywords.pop("brief", False) else (ROUNDS, ROUND_SECONDS)
    where = devices.local_devices(keywords.pop("num_devices", None))
    config = keywords.pop("config")
    zipped = keywords.pop("zip", ())
    for name in ("out", "overwrite", "dry_run", "progress"):
        if keywords.pop(name, None) is not None:
            raise ConfigError(f"{name} is no flag of the benchmark, which prints and writes nothing. Leave it out.")
    grid = make_grid(config, keywords, zipped)
    rows = []
    for run in grid.runs():
        rows.append(measure(run, grid.name_of(run), where, lanes, num_rounds, seconds))
        if as_json:
            print(json.dumps(rows[-1]), flush=True)
    if not as_json:
        table = [COLUMNS, *map(cells, rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
        print(
            f"{devices.describe(where)}; medians of {num_rounds} rounds; operations counted in matrix products alone."
        )


if __name__ == "__main__":
    guarded(benchmark, doc=__doc__, presets=PRESETS, switches=SWITCHES)
