"""The result of a sweep: one NPZ file, its labelled xarray form, parameters beside it, tables read off it.

Nothing here needs JAX.
"""

from grokjax.results.accessor import OfGrid
from grokjax.results.archives import MOST_META, remove_unfinished, replace_file
from grokjax.results.datasets import filled, load, peek, to_dataset
from grokjax.results.files import read, write
from grokjax.results.measures import load_measures, measures_of, with_measures
from grokjax.results.parameters import (
    one_run,
    params,
    params_of_run,
    selected,
    snapshot_name,
    snapshot_steps,
    write_params,
)
from grokjax.results.tables import (
    DELAYED_RISE,
    LEGEND,
    TIDY_PER_RUN,
    curve_rows,
    format_summary,
    grokked,
    runs,
    summary,
    tidy,
)
from grokjax.results.values import READS, REQUIRED, SCHEMA, STATUSES, UNFINISHED, ResultError, median

__all__ = [
    "DELAYED_RISE",
    "LEGEND",
    "MOST_META",
    "OfGrid",
    "READS",
    "REQUIRED",
    "ResultError",
    "SCHEMA",
    "STATUSES",
    "TIDY_PER_RUN",
    "UNFINISHED",
    "curve_rows",
    "filled",
    "format_summary",
    "grokked",
    "load",
    "load_measures",
    "measures_of",
    "median",
    "one_run",
    "params",
    "params_of_run",
    "peek",
    "read",
    "remove_unfinished",
    "replace_file",
    "runs",
    "selected",
    "snapshot_name",
    "snapshot_steps",
    "summary",
    "tidy",
    "to_dataset",
    "with_measures",
    "write",
    "write_params",
]
