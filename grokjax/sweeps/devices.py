"""The machine: which devices train, how much memory they have, how fast they multiply matrices."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import ConfigError
from grokjax.messages import say

THREAD_POOL = "NPROC"
"""The environment variable from which XLA takes the size of the CPU's thread pool."""

_SEEDS = "it would give another run to the same seed"

REQUIRED = {
    "jax_disable_jit": ((False,), "a sweep trains by compiled programs"),
    "jax_default_prng_impl": (("threefry2x32",), _SEEDS),
    "jax_threefry_partitionable": ((True,), _SEEDS),
    "jax_numpy_rank_promotion": (("allow", "warn"), "models add vectors to arrays of higher rank"),
}
"""JAX's own settings that a sweep depends on: the values it works with, and why not with others."""


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def start() -> None:
    """Readies JAX before its first use: a pinned thread pool, a compilation cache. To be called before anything else.

    XLA splits matrix products by the size of its thread pool, so a run's last bits depend on it. It is therefore
    pinned to the machine's cores, also where this process may use fewer of them. What the user has set is left alone.
    Where JAX has been started before, its pool stays as it was: `thread_pool` counts it.

    Raises:
      ConfigError: where JAX is set in a way that no sweep works with, or that changes what a seed means.
    """
    for name, (allowed, why) in REQUIRED.items():
        if (given := getattr(jax.config, name)) not in allowed:
            raise ConfigError(
                f"JAX is set to {name}={given}, which is not supported: {why}. Try {name.upper()}={allowed[0]}, in "
                f"Python jax.config.update({name!r}, {allowed[0]!r})."
            )
    os.environ.setdefault(THREAD_POOL, str(os.cpu_count()))
    if jax.config.jax_compilation_cache_dir is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(home) / "grokjax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def thread_pool() -> str | None:
    """The size of XLA's thread pool, once JAX has started: counted where the system lists threads by name."""
    threads = Path("/proc/self/task")
    if threads.is_dir():
        names = []
        for thread in threads.iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                names.append((thread / "comm").read_text().strip())
        if count := names.count("tf_XLAEigen"):
            return str(count)
    return os.environ.get(THREAD_POOL)


def say_other_pools(trained_by: Sequence[Mapping[str, Any]]) -> None:
    """Says so where the thread pool is not the one that it would be anywhere else on this machine, or was before.

    Args:
      trained_by: the entries of a result's meta under this name, of those who trained it on a CPU.
    """
    if jax.default_backend() != "cpu":
        return
    pool, asked = thread_pool(), os.environ.get(THREAD_POOL)
    before = [str(one["thread_pool"]) for one in trained_by if one.get("thread_pool")]
    if pool != asked:
        say(
            f"JAX was started before the sweep, with a thread pool of {pool} where this sweep would have {asked}, so "
            f"the last bits of its runs differ from those of others. Call gj.sweep before other uses of JAX, or set "
            f"{THREAD_POOL}={asked} before Python starts."
        )
    if others := [one for one in before if one != pool]:
        say(
            f"This result was trained with a thread pool of {others[-1]}, and here it is {pool}, so the last bits of "
            f"runs trained now differ. Set {THREAD_POOL}={others[-1]} before Python starts to go on with the same."
        )


def local_devices(count: int | None = None) -> list[jax.Device]:
    """Where runs of this process train, or the first `count` of these places.

    Each accelerator is one. A CPU is one for each core it may use: the same device several times, as it runs what
    several threads ask of it at once. (A device for every core is as fast, and compiles every program for each.)
    """
    start()
    try:
        devices = jax.local_devices()
    except (AssertionError, RuntimeError) as error:  # the bare assertion: a platform whose plugin is not installed
        asked = jax.config.jax_platforms
        reason = str(error).strip().partition("\n")[0] or "no plugin for it is installed"
        raise ConfigError(
            f"JAX_PLATFORMS={asked} asks for what JAX cannot use here ({reason:.200}); it always has cpu. Try "
            "JAX_PLATFORMS=cpu, or, for an NVIDIA GPU, pip install 'jax[cuda12]'."
        ) from None
    if devices[0].platform == "cpu":
        devices = devices[:1] * cores()
    if count is None:
        return devices
    if not 1 <= count <= len(devices):
        raise ConfigError(f"num_devices={count} is out of range: this process has {len(devices)}.")
    return devices[:count]


def memory(device: jax.Device) -> int:
    """Bytes a device may use: its own memory, or on a CPU its share of the machine's."""
    if device.platform == "cpu":
        return host_memory() // cores()
    return (device.memory_stats() or {}).get("bytes_limit", sys.maxsize)


def host_memory() -> int:
    """Bytes of the machine's main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe(devices: list[jax.Device]) -> str:
    """E.g. '2 x cpu', '1 x NVIDIA H200'."""
    return f"{len(devices)} x {devices[0].device_kind}"


def matmul_peak(devices: list[jax.Device], precision: str = "float32", seconds: float = 0.3) -> float:
    """The rate of large matrix products on all devices at once, measured now.

    Args:
      devices: that multiply at the same time.
      precision: of the products.
      seconds: roughly, per measurement; the best of three counts.

    Returns:
      Floating-point operations per second, of all devices together.
    """
    size = 1024 if devices[0].platform == "cpu" else 8192

    @jax.jit
    def products(x, y, repeats):
        def multiply(_, z):
            return jnp.matmul(z, y, precision=precision)

        return jax.lax.fori_loop(0, repeats, multiply, x)

    matrix = np.eye(size, dtype=np.float32)
    operands = [jax.device_put(matrix, device) for device in devices]

    def measure(repeats):
        begin = time.perf_counter()
        jax.block_until_ready([products(x, x, repeats) for x in operands])
        return time.perf_counter() - begin

    measure(1)
    repeats = max(1, round(seconds / measure(2) * 2))
    best = min(measure(repeats) for _ in range(3))
    return 2 * size**3 * repeats * len(devices) / best
