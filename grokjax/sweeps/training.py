"""The training of what an inventory lacks, by one process: shown while it goes on, and saved however it ends."""

import collections
import threading
from collections.abc import Sequence

import jax

from grokjax import results
from grokjax.config import Execution
from grokjax.messages import say
from grokjax.sweeps import devices, outputs, provenance
from grokjax.sweeps.checkpoints import Keeper
from grokjax.sweeps.engine import Group, Observer, Record, train
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.lanes import Bank, Live
from grokjax.sweeps.progress import Counts, Meter
from grokjax.sweeps.signals import Interrupted, Listening


class Training(Observer):
    """Trains the missing runs of an inventory.

    Args:
      inventory: of the runs asked for; has them all afterwards.
      execution: lanes, minutes between checkpoints, whether progress is shown and checkpoints are kept.
      where: the devices.
      listening: to signals that end training.
    """

    def __init__(self, inventory: Inventory, execution: Execution, where: Sequence[jax.Device], listening: Listening):
        self.inventory, self.request, self.execution = inventory, inventory.request, execution
        self.where, self.listening = where, listening
        self.meter: Meter | None = None
        self.keeper: Keeper | None = None
        self.widths: set[int] = set()
        self.lock = threading.Lock()

    def train(self, groups: Sequence[Group]) -> None:
        """Trains the pending runs of some groups, those that are held first, and writes the result.

        Args:
          groups: whose queues are emptied.

        Raises:
          Interrupted: once all is saved as far as it was.
        """
        self._prepare(groups)
        self.listening.training = True
        try:
            train(groups, self.where, self.execution.lanes, self, self.listening.stop, self.inventory.held, self._wait)
        except KeyboardInterrupt:
            raise  # the second one, which ends at once
        except BaseException:
            kept = self._kept_so_far()
            say(f"Training failed. {kept}", self.request.path is not None and self.request.path.exists())
            raise
        finally:
            self.meter.close()
        if self.listening.stop.is_set() and not self.inventory.complete:
            raise Interrupted(f"Interrupted. {self._kept_so_far()}", self.listening.number)
        self._finish()

    def _prepare(self, groups: Sequence[Group]) -> None:
        """Sorts the queues, readies the folders, and says where runs go on from."""
        held, path = self.inventory.held, self.request.path
        for group in groups:
            group.pending = collections.deque(sorted(group.pending, key=lambda run: run.run_id not in held))
        done = {run_id: one.lives[0].step for run_id, one in held.items()}
        budgets = [run.config.steps - done.get(run.run_id, 0) for group in groups for run in group.pending]
        if path:
            outputs.claim(self.request.params)
            results.remove_unfinished(path)
            if not self.request.is_part:  # of a part, others may just be writing there
                results.remove_unfinished(self.request.params)
            if not held:
                self.inventory.checkpoints.remove()
            seconds = 60 * self.execution.checkpoint_minutes
            self.keeper = Keeper(self.inventory.checkpoints, seconds, held, self._write, say)
        devices.say_other_pools([one for one in self.inventory.trained_by if one.get("platform") == "cpu"])
        if done:
            text = f"{len(done)} runs go on from a checkpoint, {sum(done.values()):,} run-steps done."
            say(text, self.execution.progress)
        told = Counts.beside(path) if self.request.is_part else None
        self.meter = Meter(budgets, self.execution.progress, told, len(self.request.configs) - len(budgets))

    def _wait(self, thread: threading.Thread) -> None:
        """Waits for a thread, but in short turns, so that signals are heard and checkpoints taken."""
        while thread.is_alive():
            thread.join(0.1)
            if self.keeper:
                self.keeper.tick()

    def _finish(self) -> None:
        """Writes the result of all runs, and removes what was kept of them while they were under way."""
        self.inventory.replace(self.inventory.records, self._trained())
        if self.request.path:
            checkpoints = self.inventory.checkpoints
            keeps = self.execution.keep_checkpoints and not self.request.is_part
            (checkpoints.close if keeps else checkpoints.remove)()
            text = f"Wrote {self.request.path} ({len(self.request.runs)} runs) in {self.meter.seconds:.0f} s."
            say(text, self.execution.progress)

    def _kept_so_far(self) -> str:
        """Says what a sweep that ends too early has saved, having saved it."""
        if not self.request.path:
            return "Nothing is saved, for there is no --out."
        wrong = self.keeper.write() or self.keeper.finish()
        self.inventory.checkpoints.close()
        if wrong:
            return wrong
        ended = sum(run.run_id in self.inventory.records for run in self.request.runs)
        total, path = len(self.request.runs), self.request.path
        return f"{ended} of {total} runs are saved in {path}, those under way beside it; the same command continues."

    def _write(self, lives: Sequence[Live] = ()) -> None:
        """Writes the result with the runs that have ended and those under way, if any has been evaluated."""
        under_way = {live.run.run_id: Record.of(live) for live in lives if live.metrics}
        with self.lock:
            records = under_way | self.inventory.records
        if records:
            results.write(self.request.path, *self.request.result(records, self._trained()))

    def _trained(self) -> dict:
        """What meta says of how the result was trained."""
        with self.lock:
            lanes = sorted(self.widths)
        here = provenance.here(self.where, lanes, self.meter.seconds, self.meter.run_steps)
        return provenance.together(here, self.inventory.trained_by)

    def advanced(self, run_steps):
        self.meter.advanced(run_steps)

    def evaluated(self, live: Live, params):
        run_id = live.run.run_id
        if not live.status and live.step in self.request.snapshot_steps(run_id):  # the final parameters are kept anyway
            results.write_params(self.request.params, run_id, params(), step=live.step, final=False)
        self.meter.evaluated(live)

    def ended(self, live: Live, params):
        run_id = live.run.run_id
        if self.request.path:
            results.write_params(self.request.params, run_id, params, step=live.step)
        with self.lock:
            self.inventory.records[run_id] = Record.of(live)
        if self.keeper:
            self.keeper.ended(run_id)
        self.meter.end(live)

    def parked(self, bank: Bank):
        if self.keeper:
            self.keeper.parked(bank)

    def left(self, bank: Bank):
        with self.lock:
            self.widths.add(len(bank.lanes))
        if self.keeper:
            self.keeper.left(bank)
