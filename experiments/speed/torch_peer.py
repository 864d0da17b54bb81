"""The same runs in PyTorch: what `benchmark.py --against=torch` compares with.

A run of this project becomes a `Job`: its model out of PyTorch's own layers (`torch_models.py`), its initial weights,
its batches and its optimizer, in NumPy. A `Peer` trains it by a plain loop in worker processes (`torch_worker.py`), in
one of several `arrangements` of processes and threads; `best` tries them all. PyTorch is needed by the workers alone.
"""

import dataclasses
import functools
import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models, optimizers
from grokjax.config import Config, ConfigError, settings
from grokjax.runs import Program, RunValues, batch_of
from grokjax.sweeps.devices import cores
from grokjax.sweeps.engine import Group
from grokjax.sweeps.identity import Run
from grokjax.sweeps.programs import initial_state

WORKER = Path(__file__).resolve().parent / "torch_worker.py"

BATCHES = 64
"""Steps whose batches a job holds at least; those that follow begin again with the first."""

PATIENCE = 300.0
"""Seconds after which a process that does not answer is given up."""

ENSEMBLES = {"cpu": (8,), "cuda": (8, 32, 128)}
"""How many runs an ensemble has, on each kind of device."""

# ---------------------------------------------------------------------------------------- our trees to PyTorch's names


def _linear(name: str, tree: Mapping) -> dict[str, np.ndarray]:
    """[inputs, outputs] becomes [outputs, inputs]."""
    bias = {f"{name}.bias": tree["bias"]} if "bias" in tree else {}
    return {f"{name}.weight": tree["kernel"].T} | bias


def _norm(name: str, tree: Mapping) -> dict[str, np.ndarray]:
    return {f"{name}.{theirs}": tree[ours] for theirs, ours in (("weight", "scale"), ("bias", "bias")) if ours in tree}


def _attention(name: str, tree: Mapping, prefix: str = "") -> dict[str, np.ndarray]:
    """The three projections come to lie in one matrix, query, key, value from above."""
    parts = [tree[prefix + part] for part in ("query", "key", "value")]
    found = {f"{name}.in_proj_weight": np.concatenate([part["kernel"].T for part in parts])}
    if "bias" in parts[0]:
        found[f"{name}.in_proj_bias"] = np.concatenate([part["bias"] for part in parts])
    return found | _linear(f"{name}.out_proj", tree[prefix + "output"])


def _block(name: str, tree: Mapping) -> dict[str, np.ndarray]:
    """An encoder layer of PyTorch's, or where there is cross-attention a decoder layer, with a norm more."""
    crosses = "cross_query" in tree
    found = _attention(f"{name}.self_attn", tree)
    if crosses:
        found |= _attention(f"{name}.multihead_attn", tree, "cross_")
    for theirs, ours in (("linear1", "mlp_in"), ("linear2", "mlp_out")):
        if ours in tree:
            found |= _linear(f"{name}.{theirs}", tree[ours])
    norms = ["norm_attention", "norm_cross", "norm_mlp"] if crosses else ["norm_attention", "norm_mlp"]
    for i, ours in enumerate(norms, 1):
        found |= _norm(f"{name}.norm{i}", tree.get(ours, {}))
    return found | _norm(f"{name}.activation.0", tree.get("norm_inner", {}))


def _cells(name: str, tree: Mapping) -> dict[str, np.ndarray]:
    """The layers of an LSTM."""
    found = {}
    for i in range(len([own for own in tree if own.startswith(f"{name}_")])):
        cell = tree[f"{name}_{i}"]
        found |= {f"{name}.weight_ih_l{i}": cell["input"].T, f"{name}.weight_hh_l{i}": cell["hidden"].T}
        found |= {f"{name}.bias_ih_l{i}": cell["bias_input"], f"{name}.bias_hh_l{i}": cell["bias_hidden"]}
    return found


def torch_weights(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters of one of our models under the names, and in the layouts, of that in `torch_models`.

    Args:
      params: of a decoder, encoder-decoder, LSTM, MLP or ResNet, as `init(...)["params"]` returns them.

    Returns:
      By PyTorch's name: a Linear's weight is [outputs, inputs], the projections of an attention lie in one matrix.
    """
    params = jax.tree.map(np.asarray, dict(params))
    is_lstm = "encoder_0" in params and "input" in params["encoder_0"]
    found = {}
    for name, tree in params.items():
        kind, _, number = name.rpartition("_")
        if kind == "layer":
            found |= _linear(f"layers.{number}", tree)
        elif kind == "block":
            found |= _block(f"layers.{number}", tree)
        elif kind in ("encoder", "decoder") and not is_lstm:
            found |= _block(f"{kind}.{number}", tree)
        elif name == "norm_output":
            found |= _norm("norm", tree)
        elif name == "output":
            found |= _linear("output", tree) if isinstance(tree, Mapping) else {"output.weight": tree.T}
        elif name.startswith(("embedding", "position")):
            found[f"{name}.weight"] = tree
    if is_lstm:
        found |= _cells("encoder", params) | _cells("decoder", params)
    return {name: np.array(value, order="C") for name, value in found.items()}  # which PyTorch may own


# ----------------------------------------------------------------------------------------------------------------- job


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything a PyTorch process needs to train a run, in NumPy and plain Python.

    Attributes:
      kind, sizes: of the model: an entry of `torch_models.MODELS`, and what it is given.
      weights: initial, by PyTorch's name, float32.
      optimizer, options: 'adamw', 'adam', 'sgd' or 'rmsprop', and what PyTorch's is given besides learning rates.
      learning_rate, warmup_steps: the rate rises linearly from 0 over so many updates, the first being 0.
      tokens: [examples, length] int64, up to the last answer position.
      labels: [examples, answers] int64, as the run sees them.
      rows: per step, [batch] int64 rows of the table, without padding; after the last begin again.
      full_batch: whether every step has the same rows.
      train_rows: [num_train] int64, the rows that train.
      loss_dtype: 'float32' or 'float64', in which the cross-entropy is computed.
      precision: of matrix products, 'float32' or 'tensorfloat32'.
      drops: whether there is dropout, so that two programs agree in distribution alone.
    """

    kind: str
    sizes: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    optimizer: str
    options: Mapping[str, Any]
    learning_rate: float
    warmup_steps: float
    tokens: np.ndarray
    labels: np.ndarray
    rows: tuple[np.ndarray, ...]
    full_batch: bool
    train_rows: np.ndarray
    loss_dtype: str
    precision: str
    drops: bool


def job(run: Run, group: Group, num_batches: int = BATCHES) -> Job:
    """A run, as PyTorch is to train it: the same initial weights, rows, labels and batches.

    Args:
      run: one cell of a grid.
      group: that it belongs to, by `make_groups`.
      num_batches: steps whose batches are recorded at least, rounded up to whole epochs where one is that short.

    Returns:
      The job.

    Raises:
      ConfigError: for what has no counterpart on the PyTorch side, such as other models and optimizers, BatchNorm,
        clipping, noise, and tasks that draw their rows without end.
    """
    config, program, table = run.config, group.program, group.table
    _check_run(config)
    kind, sizes = _model(program.model, config.dropout)
    optimizer, options = _optimizer(config.optimizer)
    values = RunValues.of(config)
    state = initial_state(program, values, group.arrays, jax.local_devices()[0])
    labels = np.asarray(state.labels, np.int64)
    if (labels < 0).any():
        raise refused(f"answers that are not scored in some rows of {table.name}", "another task")
    num_train = config.num_train
    return Job(
        kind=kind,
        sizes=sizes,
        weights=torch_weights(state.params),
        optimizer=optimizer,
        options=options,
        learning_rate=config.optimizer.learning_rate,
        warmup_steps=config.optimizer.warmup_steps,
        tokens=np.asarray(table.inputs[:, : table.answer_positions[-1] + 1], np.int64),
        labels=labels,
        rows=recorded_rows(program, values, group.arrays, state, num_steps(config, num_batches)),
        full_batch=config.batch_rule == "full",
        train_rows=np.asarray(state.order[:num_train], np.int64),
        loss_dtype=config.loss_dtype,
        precision=config.precision,
        drops=config.dropout > 0,
    )


def num_steps(config: Config, at_least: int) -> int:
    """Steps whose batches are recorded: whole epochs, unless one is longer than `at_least`."""
    epoch = config.steps_per_epoch
    return 1 if config.batch_rule == "full" else -(-at_least // epoch) * epoch if epoch <= at_least else at_least


def recorded_rows(program: Program, values: RunValues, arrays, state, count: int) -> tuple[np.ndarray, ...]:
    """The rows of the table that each of the first `count` steps trains on, padding left out."""

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, None, None, 0))
    def batches(values, arrays, state, step):
        batch = batch_of(program, values, arrays, state._replace(step=step))
        return batch.rows, batch.counts

    told = values, arrays._replace(prefixes=None), state._replace(params=None, optimizer=None)
    rows, counts = map(np.asarray, batches(*told, jnp.arange(count, dtype=jnp.int32)))
    return tuple(step[counted].astype(np.int64) for step, counted in zip(rows, counts, strict=True))


def refused(what: str, instead: str) -> ConfigError:
    """The error for what the PyTorch side does not do."""
    return ConfigError(f"--against=torch cannot train {what}. Try {instead}, or leave --against out.")


def _check_run(config: Config) -> None:
    """ConfigError for settings of the run that the worker's loop has no counterpart of."""
    if config.batch_rule == "stream":
        raise refused("on rows drawn without end (batch_rule=stream)", "--batch_rule=shuffled")
    if config.precision == "bfloat16":
        raise refused("with precision=bfloat16 in matrix products alone", "--precision=float32")
    plain = dict(weight_noise=0.0, output_scale=1.0, centred=False, loss="cross_entropy")
    for name, value in plain.items():
        if getattr(config, name) != value:
            raise refused(f"with {name}={getattr(config, name)}", f"--{name}={str(value).lower()}")


def _model(model, dropout: float) -> tuple[str, dict[str, Any]]:
    """The kind and the sizes of a fitted model, by the names `torch_models` gives them."""
    kinds = {kind: name for name, kind in models.MODELS.items()}
    kind = kinds.get(type(model))
    for name, plain in (("activation", "relu"), ("pool", "mean")):
        if getattr(model, name, plain) != plain:
            raise refused(f"with {name}={getattr(model, name)}", f"--{name}={plain}")
    sizes = dict(vocabulary=getattr(model, "vocab_size", None), classes=getattr(model, "num_classes", None))
    if kind == "decoder":
        return kind, sizes | _decoder_sizes(model) | dict(dropout=dropout)
    if kind not in ("encoder_decoder", "lstm", "mlp", "resnet"):
        raise refused(f"the model {type(model).__name__}", "--model=decoder")
    sizes |= dict(width=model.width, num_layers=model.num_layers)
    if kind == "encoder_decoder":
        sizes |= dict(length=model.length, heads=model.num_heads, mlp_width=model.hidden_units)
        sizes |= dict(zero_is_padding=model.zero_is_padding, dropout=dropout)
    if kind == "resnet":
        sizes |= dict(shared=model.shared)
    return kind, sizes


def _decoder_sizes(model: models.Decoder) -> dict[str, Any]:
    read = model.answer_positions
    if model.counts_batch:
        raise refused("with norm_kind=batch", "--norm_kind=layer")
    if model.split_mlp:
        raise refused("with split_mlp", "--split_mlp=false")
    if not model.hidden_units and (model.norm != "none" or model.bias == "all"):
        raise refused("attention alone (mlp_width=0) with norms or biases", "--norm=none --bias=none")
    if list(read) != list(range(read[0], read[-1] + 1)):
        raise refused("answers that do not stand side by side", "a task whose answers do")
    if model.length != read[-1] + 1:
        raise refused("tokens after the last answer", "a task whose rows end with an answer")
    return dict(
        width=model.width,
        length=model.length,
        read=read,
        heads=model.num_heads,
        mlp_width=model.hidden_units,
        num_layers=model.num_layers,
        norm=model.norm,
        affine=model.norm_affine,
        inner=model.inner_norm,
        final=model.normalises_output,
        bias=model.bias,
        learned=model.positions == "learned",
    )


CHANGES = ("clip_norm", "gradient_noise", "update_noise", "grokfast", "orthogonal_gradient", "fixed_norm", "group")
"""What our optimizers may do to gradient and update, and the PyTorch side does not."""


def _optimizer(optimizer) -> tuple[str, dict[str, Any]]:
    """The kind and the options of PyTorch's optimizer that makes the same updates."""
    known = (optimizers.Adam, optimizers.AdamW, optimizers.Sgd, optimizers.SgdMomentum, optimizers.RmsProp)
    if type(optimizer) not in known:
        raise refused(f"by the optimizer {type(optimizer).__name__}", "--optimizer=adamw")
    for name in CHANGES:
        default = settings(type(optimizer))[name].default
        if getattr(optimizer, name) != default:
            raise refused(f"with {name}={getattr(optimizer, name)}", f"--{name}={str(default).lower()}")
    if optimizer.decay not in ("zero", "gradient"):
        raise refused(f"with decay={optimizer.decay}", "--decay=zero")
    options, in_gradient = dict(weight_decay=optimizer.weight_decay), optimizer.decay == "gradient"
    if isinstance(optimizer, optimizers.Adam):
        options |= dict(betas=(optimizer.b1, optimizer.b2), eps=optimizer.eps)
        return ("adam" if in_gradient else "adamw"), options
    momentum = getattr(optimizer, "momentum", 0.0)
    if isinstance(optimizer, optimizers.RmsProp):
        options |= dict(alpha=optimizer.b2, eps=optimizer.eps)
    # Beside plain SGD's direction both decays are one; beside others PyTorch knows that in the gradient alone.
    if optimizer.weight_decay and not in_gradient and type(optimizer) is not optimizers.Sgd:
        raise refused(f"by {type(optimizer).__name__} with weight decay beside the gradient", "--decay=gradient")
    return ("rmsprop" if isinstance(optimizer, optimizers.RmsProp) else "sgd"), options | dict(momentum=momentum)


# --------------------------------------------------------------------------------------------------------------- peers


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """How runs are spread over a machine.

    Attributes:
      processes: that run side by side.
      threads: of each.
      ensemble: runs that each process advances at once, their parameters stacked.
      compiled: whether the loss and its gradient go through torch.compile.
      graphs: whether what is compiled is also recorded as CUDA graphs.
      device: 'cpu' or 'cuda'.
    """

    processes: int = 1
    threads: int = 1
    ensemble: int = 1
    compiled: bool = False
    graphs: bool = False
    device: str = "cpu"

    @property
    def runs(self) -> int:
        """How many runs advance at once."""
        return self.processes * self.ensemble

    def __str__(self):
        def counted(count, word, plural):
            return f"{count} {word if count == 1 else plural}"

        where = counted(self.processes, "process", "processes")
        if self.device == "cpu":
            where += f" of {counted(self.threads, 'thread', 'threads')}"
        how = "compiled" if self.compiled else "eager"
        what = [where] + ([f"ensemble of {self.ensemble} by torch.func.vmap"] if self.ensemble > 1 else [])
        return ", ".join([*what, how, *(["CUDA graphs"] if self.graphs else [])])

    def environment(self, process: int) -> dict[str, str]:
        """Environment variables of a process, which must be set before it imports PyTorch."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        if self.device != "cpu":
            return threads | {"CUDA_VISIBLE_DEVICES": _visible_gpu(process)}
        return threads | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # the processes compile at the same time as it is

    def own_cores(self, process: int) -> list[int]:
        """The cores that a process keeps to; none named where it may use all."""
        if self.device != "cpu" or self.processes == 1 or not hasattr(os, "sched_getaffinity"):
            return []
        mine = sorted(os.sched_getaffinity(0))[process * self.threads : (process + 1) * self.threads]
        return mine if len(mine) == self.threads else []


def _visible_gpu(process: int) -> str:
    """The GPU of a process, of those that this one may use."""
    return (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(64)))).split(",")[process]


def arrangements(device: str = "cpu", count: int | None = None) -> list[Arrangement]:
    """The arrangements worth trying: one run per core, one on all cores, ensembles; each eager and compiled.

    Args:
      device: 'cpu' or 'cuda'.
      count: cores or GPUs to use; None: all cores, one GPU.

    Returns:
      The candidates, the plainest first.
    """
    if device == "cpu":
        count = count or cores()
        shapes = [dict(processes=count)] + ([dict(threads=count)] if count > 1 else [])
        shapes += [dict(processes=count, ensemble=size) for size in ENSEMBLES[device]]
        return [Arrangement(**shape, compiled=compiled) for shape in shapes for compiled in (False, True)]
    shapes = [dict(processes=count or 1, ensemble=size, device=device) for size in (1, *ENSEMBLES[device])]
    ways = [dict(), dict(compiled=True), dict(compiled=True, graphs=True)]
    return [Arrangement(**shape, **way) for shape in shapes for way in ways]


class PeerError(Exception):
    """PyTorch cannot train the job in the arrangement: what it said."""


class Peer:
    """Worker processes that train a job, warmed up, until it is closed. A context manager.

    Args:
      job: what to train; every process trains the same.
      arrangement: of processes and threads.
      patience: seconds that the processes may take to answer, compiling included; default: `PATIENCE`.

    Raises:
      ConfigError: if there is no PyTorch.
      PeerError: if a process cannot train the job so.
    """

    def __init__(self, job: Job, arrangement: Arrangement, patience: float | None = None):
        check_torch()
        self.job, self.arrangement, self.patience = job, arrangement, patience or PATIENCE
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the processes
        self._processes: list[subprocess.Popen] = []
        try:
            for i in range(arrangement.processes):
                environment = os.environ | arrangement.environment(i)
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, str(WORKER)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=self._said,
                        env=environment,
                    )
                )
            told = [
                (vars(arrangement) | dict(cores=arrangement.own_cores(i)), vars(job))
                for i in range(arrangement.processes)
            ]
            self._ask(told)
            self._ask_all("warm up", 0)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def runs(self) -> int:
        """How many runs advance at once."""
        return self.arrangement.runs

    def seconds(self, num_steps: int) -> float:
        """Wall time in which every process makes so many updates of each of its runs, all started together."""
        begin = time.perf_counter()
        self._ask_all("train", num_steps)
        return time.perf_counter() - begin

    def rate(self, num_steps: int) -> float:
        """Run-steps per second over so many updates."""
        return num_steps * self.runs / self.seconds(num_steps)

    def loss(self, num_steps: int) -> float:
        """The mean loss over all training rows, in eval mode, so many updates after the initial weights."""
        return self._ask_all("loss", num_steps)[0]

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._processes = []
        self._said.close()

    def _ask_all(self, request: str, num_steps: int) -> list:
        return self._ask([(request, num_steps)] * len(self._processes))

    def _ask(self, told: list) -> list:
        """What the processes answer, each to its own request; PeerError for the first that failed."""
        alarm = threading.Timer(self.patience, self._give_up)
        alarm.start()
        try:
            for process, request in zip(self._processes, told, strict=True):
                pickle.dump(request, process.stdin)
                process.stdin.flush()
            answers = [pickle.load(process.stdout) for process in self._processes]
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            reason = f"no answer in {self.patience:.0f} s" if alarm.finished.is_set() else self._last_words()
            raise PeerError(f"a process ended: {reason}") from None
        finally:
            alarm.cancel()
        for status, value in answers:
            if status == "failed":
                raise PeerError(value)
        return [value for _, value in answers]

    def _give_up(self) -> None:
        for process in self._processes:
            process.kill()

    def _last_words(self) -> str:
        """The last line that a process printed."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing."


def check_torch() -> None:
    """ConfigError unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("--against=torch needs PyTorch, which is not installed here. Try: pip install torch.")


@dataclasses.dataclass(frozen=True)
class Trial:
    """What became of an arrangement: its run-steps per second, or why it could not train."""

    arrangement: Arrangement
    rate: float | None = None
    failure: str = ""


def best(
    job: Job,
    candidates: Sequence[Arrangement],
    seconds: float = 1.0,
    heard: Callable[[Trial], None] = lambda trial: None,
) -> tuple[Peer, list[Trial]]:
    """Tries arrangements and keeps the fastest, started and warmed up.

    Args:
      job: what to train.
      candidates: to try, as by `arrangements`.
      seconds: of each of the three rounds that an arrangement is timed for; the median counts.
      heard: told of each trial when it ends.

    Returns:
      The peer, which the caller closes, and all trials.

    Raises:
      ConfigError: if there is no PyTorch, or no arrangement can train the job.
    """
    check_torch()
    kept, trials = None, []
    try:
        for arrangement in candidates:
            peer, trial = _tried(job, arrangement, seconds)
            if trial.rate is not None and trial.rate > max(
                (other.rate for other in trials if other.rate is not None), default=0.0
            ):
                kept, peer = peer, kept
            if peer is not None:
                peer.close()
            trials.append(trial)
            heard(trial)
    except BaseException:
        if kept is not None:
            kept.close()
        raise
    if kept is None:
        raise ConfigError(f"PyTorch cannot train this in any arrangement. The plainest: {trials[0].failure}")
    return kept, trials


def _tried(job: Job, arrangement: Arrangement, seconds: float) -> tuple[Peer | None, Trial]:
    """The peer in an arrangement and how fast it is; None and why not."""
    try:
        peer = Peer(job, arrangement)
    except PeerError as error:
        return None, Trial(arrangement, failure=str(error))
    try:
        steps = max(1, round(seconds / peer.seconds(3) * 3))
        return peer, Trial(arrangement, float(np.median([peer.rate(steps) for _ in range(3)])))
    except PeerError as error:
        peer.close()
        return None, Trial(arrangement, failure=str(error))
    except BaseException:
        peer.close()
        raise
