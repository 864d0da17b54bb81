"""A process that trains runs in PyTorch for `torch_peer.Peer`, which starts it and tells it what to do.

It imports neither JAX nor this project, and is told everything through its standard input: first the arrangement and
the job, as a dict of the fields of `torch_peer.Arrangement` and `torch_peer.Job`, then requests (name, number of
steps). To each it answers ('done', value) or ('failed', sentence).
"""

import functools
import math
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional
from torch_models import MODELS

PRECISIONS = {"float32": "highest", "tensorfloat32": "high"}
"""PyTorch's names of the precisions of matrix products."""

EVALUATION_ROWS = 2048


def mean_loss(logits: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mean cross-entropy over rows and answers, computed in `dtype`."""
    return functional.cross_entropy(logits.flatten(0, 1).to(dtype), labels.flatten())


OPTIMIZERS = {
    "adamw": functools.partial(torch.optim.AdamW, fused=True),
    "adam": functools.partial(torch.optim.Adam, fused=True),
    "sgd": functools.partial(torch.optim.SGD, fused=True),
    "rmsprop": torch.optim.RMSprop,
}
"""PyTorch's own, fused where they can be: that is their fastest form on a CPU, too."""


class Trainer:
    """The runs that one process advances: one, or an ensemble of several with stacked parameters.

    Optimizers work element by element, so PyTorch's own serve an ensemble's stacked parameters as they are.

    Args:
      job: fields of `torch_peer.Job`.
      arrangement: fields of `torch_peer.Arrangement`.
    """

    def __init__(self, job: SimpleNamespace, arrangement: SimpleNamespace):
        self.job, self.arrangement, self.device = job, arrangement, arrangement.device
        self.dtype = getattr(torch, job.loss_dtype)
        self.model = MODELS[job.kind](**job.sizes).float()
        self.model.load_state_dict({name: torch.from_numpy(value) for name, value in job.weights.items()})
        self.model.to(self.device)
        self.tokens, self.labels = (torch.from_numpy(array).to(self.device) for array in (job.tokens, job.labels))
        self.batches = [self._batch(rows) for rows in job.rows]
        if job.full_batch:  # then nothing is looked up in a step
            self.batches = [(self.tokens[rows], self.labels[rows]) for rows in self.batches]
        self.parameters, self.loss = self._ensemble() if arrangement.ensemble > 1 else self._single()
        if arrangement.compiled:
            mode = "reduce-overhead" if arrangement.graphs else "default"
            self.loss = torch.compile(self.loss, mode=mode, dynamic=False)
        self.initial = [parameter.detach().clone() for parameter in self.parameters]
        self.restart()

    def _batch(self, rows: np.ndarray) -> torch.Tensor:
        """Rows of the table on the device; of an ensemble [members, batch]."""
        rows = torch.from_numpy(rows).to(self.device)
        return rows.repeat(self.arrangement.ensemble, 1) if self.arrangement.ensemble > 1 else rows

    def _single(self) -> tuple[list, Callable]:
        return list(self.model.parameters()), lambda tokens, labels: mean_loss(self.model(tokens), labels, self.dtype)

    def _ensemble(self) -> tuple[list, Callable]:
        """Stacked parameters, and the sum of the members' losses: each one's gradient is that of its own."""
        stacked, _ = torch.func.stack_module_state([self.model] * self.arrangement.ensemble)
        buffers = dict(self.model.named_buffers())  # constants, the same for all

        def loss_of_one(parameters, tokens, labels):
            logits = torch.func.functional_call(self.model, (parameters, buffers), (tokens,))
            return mean_loss(logits, labels, self.dtype)

        of_all = torch.func.vmap(loss_of_one, randomness="different")
        return list(stacked.values()), lambda tokens, labels: of_all(stacked, tokens, labels).sum()

    def restart(self) -> None:
        """Goes back to the initial weights."""
        with torch.no_grad():
            for parameter, initial in zip(self.parameters, self.initial, strict=True):
                parameter.copy_(initial)
        self.optimizer = OPTIMIZERS[self.job.optimizer](self.parameters, **self.job.options)
        self.step = 0

    def train(self, num_steps: int) -> None:
        """So many updates; the learning rate rises linearly from 0 over the first ones."""
        job = self.job
        for _ in range(num_steps):
            if self.step <= job.warmup_steps:
                rate = job.learning_rate * min(1.0, self.step / job.warmup_steps if job.warmup_steps else 1.0)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
            batch = self.batches[self.step % len(self.batches)]
            tokens, labels = batch if job.full_batch else (self.tokens[batch], self.labels[batch])
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(tokens, labels).backward()
            self.optimizer.step()
            self.step += 1

    def warm_up(self) -> None:
        """Steps on batches of every size there is, twice: what is compiled is compiled in them."""
        sizes = {len(rows): i for i, rows in enumerate(self.job.rows)}
        for _ in range(2):
            for i in sizes.values():
                self.step = i
                self.train(1)
        self.step = math.ceil(self.job.warmup_steps)

    @torch.no_grad()
    def training_loss(self) -> float:
        """The mean loss over all training rows in eval mode; of an ensemble's first member."""
        if self.arrangement.ensemble > 1:
            for parameter, stack in zip(self.model.parameters(), self.parameters, strict=True):
                parameter.copy_(stack[0])
        self.model.eval()
        total = 0.0
        for rows in torch.from_numpy(self.job.train_rows).to(self.device).split(EVALUATION_ROWS):
            total += mean_loss(self.model(self.tokens[rows]), self.labels[rows], self.dtype).item() * len(rows)
        self.model.train()
        return total / len(self.job.train_rows)

    def answer(self, request: str, num_steps: int) -> float | None:
        """What the parent asks for."""
        if request == "warm up":
            self.warm_up()
        elif request == "loss":
            self.restart()
            self.train(num_steps)
            return self.training_loss()
        else:
            self.train(num_steps)
        if self.device != "cpu":
            torch.cuda.synchronize()
        return None


def made(told: tuple[dict, dict]) -> Trainer:
    """The trainer of a job in an arrangement, in this process with its threads on its cores."""
    arrangement, job = (SimpleNamespace(**fields) for fields in told)
    if arrangement.cores:
        os.sched_setaffinity(0, arrangement.cores)
    torch.set_num_threads(arrangement.threads)
    torch.set_float32_matmul_precision(PRECISIONS[job.precision])
    torch.backends.mha.set_fastpath_enabled(False)
    if arrangement.ensemble > 1 and arrangement.device == "cpu":
        torch.backends.cuda.enable_flash_sdp(False)  # the CPU's has no batching rule, and would go member by member
    if arrangement.device != "cpu" and not torch.cuda.is_available():
        raise RuntimeError("this PyTorch sees no GPU")
    return Trainer(job, arrangement)


def serve(requests, answers) -> None:
    """Answers until the requests end."""
    trainer = None
    while True:
        try:
            told = pickle.load(requests)
        except EOFError:
            return
        try:
            if trainer is None:
                trainer, value = made(told), None
            else:
                value = trainer.answer(*told)
            answer = "done", value
        except Exception as error:
            traceback.print_exc()
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            answer = "failed", f"{type(error).__name__}: {first:.200}"
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print must not come between
    serve(sys.stdin.buffer, answers)
