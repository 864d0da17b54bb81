"""What the programs need on accelerators that are not at hand, from the accelerators' own compilers.

    grokjax benchmark --compile_for=tpu:v5e:2x2 --lanes=1,8,64

A TPU's compiler works on any machine (`pip install 'grokjax[tpu]'`). For every workload and number of lanes: seconds to
compile, bytes of state and workspace, what the compiled program computes relative to what a step needs, what a run-step
moves to and from main memory, and the run-steps per second that peak arithmetic and bandwidth of one chip would allow,
whichever is fewer. Nothing is run, so none of this is a speed that was seen.
"""

import os
import time
from typing import Any, NamedTuple

import jax

from grokjax.config import ConfigError, imported
from grokjax.experiments.speed import hlo
from grokjax.sweeps import forecast, programs
from grokjax.sweeps.engine import make_groups
from grokjax.sweeps.identity import Run


class Chip(NamedTuple):
    """One chip's peak in bfloat16 products (operations a second), and main memory: bytes, bytes a second."""

    peak: float
    memory: float
    bandwidth: float


CHIPS = {
    "TPU v4": Chip(275e12, 32e9, 1228e9),
    "TPU v5 lite": Chip(197e12, 16e9, 819e9),
    "TPU v5": Chip(459e12, 95e9, 2765e9),
    "TPU v6 lite": Chip(918e12, 32e9, 1640e9),
}
"""By the name that JAX gives a device. Source: Google Cloud's pages on its TPU versions."""

PASSES = {"bfloat16": 1, "tensorfloat32": 3, "float32": 6}
"""Products in bfloat16 that one of such a precision is made of."""

COLUMNS = {
    "workload": lambda row: row["workload"],
    "lanes": lambda row: str(row["lanes"]),
    "compile s": lambda row: f"{row['compile_seconds']:.0f}",
    "state": lambda row: forecast.size(row["state_bytes"]),
    "workspace": lambda row: forecast.size(row["workspace_bytes"]),
    "compiled/needed": lambda row: f"{row['operations_ratio']:.1f}",
    "MB/run-step": lambda row: f"{row['bytes_per_run_step'] / 1e6:,.1f}",
    "run-steps/s at most": lambda row: f"{row['most_run_steps_per_second']:,.0f}",
    "bound by": lambda row: row["bound"],
}


def device(text: str) -> jax.Device:
    """The first chip of what a text such as 'tpu:v5e:2x2' names, described and not there.

    Raises:
      ConfigError: if the compiler is not installed, or knows no such accelerator.
    """
    platform, _, topology = text.partition(":")
    if platform != "tpu" or not topology:
        raise ConfigError(f"compile_for={text} is no accelerator that can be compiled for. Try tpu:v5e:2x2.")
    imported("libtpu", "tpu", f"compile_for={text}")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # which would wait for an answer that only a TPU's host gets
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(topology, platform=platform).devices[0]
    except (jax.errors.JaxRuntimeError, ValueError, NotImplementedError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"compile_for={text} is not known to the compiler: {first} Try tpu:v5e:2x2.") from None


def measure(name: str, run: Run, lanes: int, where: jax.Device) -> dict[str, Any]:
    """The row of one workload with so many lanes on a chip; counts are of a step and a block of an evaluation."""
    (group,) = make_groups([run])
    need = programs.step_operations(group.program, group.arrays)
    begin = time.perf_counter()
    executable = programs.lower(group.program, group.values, group.arrays, lanes, where).compile()
    seconds = time.perf_counter() - begin
    memory, counted = executable.memory_analysis(), executable.cost_analysis()
    together = min(lanes, programs.TOGETHER.get(where.platform, lanes))
    moved = hlo.step_bytes(executable.as_text()) / together
    chip = CHIPS.get(where.device_kind)
    if chip is None:
        raise ConfigError(f"Peak and bandwidth of {where.device_kind} are not known here, only {', '.join(CHIPS)}.")
    most = {"arithmetic": chip.peak / PASSES[run.config.precision] / need, "memory": chip.bandwidth / moved}
    bound = min(most, key=most.get)
    return dict(
        workload=name,
        device=where.device_kind,
        lanes=lanes,
        compile_seconds=seconds,
        state_bytes=memory.argument_size_in_bytes,
        workspace_bytes=memory.temp_size_in_bytes,
        operations_ratio=counted["flops"] / together / need,
        bytes_per_run_step=moved,
        most_run_steps_per_second=most[bound],
        bound=bound,
    )
