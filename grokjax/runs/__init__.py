"""ONE run as pure functions of a static `Program` and traced `RunValues`. Nothing here knows of grids.

program, table = Program.of(config, config.task.table()), ...      # static, and the arrays it reads
state = init_run(program, values, table)                            # step 0
state = train_step(program, values, table, state)                   # one update
measured = evaluate(program, values, table, state)                  # losses, accuracies, metrics
state, measured = train_chunk(program, values, table, state, ...)   # many updates, then an evaluation
"""

from grokjax.runs.arrays import TableArrays
from grokjax.runs.chunk import Measured, train_chunk
from grokjax.runs.evaluation import EVALUATION_ROWS, METRICS, evaluate
from grokjax.runs.forward import logits
from grokjax.runs.init import begin, init_rows, init_run, init_variables, run_labels, scaled
from grokjax.runs.means import averaged, no_means
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.step import Batch, batch_loss, batch_of, train_step
from grokjax.runs.values import RunValues, step_key, stream_key

__all__ = [
    "Batch",
    "EVALUATION_ROWS",
    "METRICS",
    "Measured",
    "Program",
    "RunState",
    "RunValues",
    "TableArrays",
    "averaged",
    "batch_loss",
    "batch_of",
    "begin",
    "evaluate",
    "init_rows",
    "init_run",
    "init_variables",
    "logits",
    "no_means",
    "run_labels",
    "scaled",
    "step_key",
    "stream_key",
    "train_chunk",
    "train_step",
]
