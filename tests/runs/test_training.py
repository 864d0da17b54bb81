import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from reference import EPSILON

from grokjax import runs
from grokjax.config import STREAMS, Config
from grokjax.models import Decoder
from grokjax.optimizers import AdamW, Sgd
from grokjax.runs import Program, RunValues, TableArrays, evaluation, init_run
from grokjax.tasks import modular
from grokjax.tasks.splits import batch_positions

MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def config(**changed):
    """A tiny run: 12 of the 25 rows of addition mod 5 train, in batches of 8 and 4."""
    defaults = dict(
        task=modular("add", 5),
        model=Decoder(num_layers=1, width=8, num_heads=2, mlp_width=16),
        optimizer=AdamW(learning_rate=1e-2, weight_decay=0.1),
        batch_size=8,
        train_fraction=0.5,
    )
    return Config(**(defaults | changed))


def parts(told):
    """The program, values and table of a run."""
    table = told.task.table()
    program = Program.of(told, table)
    return program, RunValues.of(told), TableArrays.of(table, program)


@functools.cache
def compiled(program, lanes=None):
    """The jitted `init_run` and `train_chunk` of a program, for one run or mapped over several."""
    init, chunk = (functools.partial(function, program) for function in (init_run, runs.train_chunk))
    if lanes:
        init, chunk = jax.vmap(init, (0, None)), jax.vmap(chunk, (0, None, 0, None, None, None))
    return jax.jit(init), jax.jit(chunk)


def metrics_of(measured):
    """[..., 4]: loss and accuracy of both parts, in the order of `MEASURED`."""
    places = [measured.names.index(name) for name in MEASURED]
    return np.asarray(measured.values)[..., places]


def begun(told):
    """The state of a run before its first step."""
    program, values, table = parts(told)
    return compiled(program)[0](values, table)


def advanced(told, state, num_steps, evaluates=True):
    """The state of a run after more steps, and its metrics."""
    program, values, table = parts(told)
    due = np.bool_(evaluates)
    state, measured = compiled(program)[1](values, table, state, np.int32(num_steps), due, due)
    return state, metrics_of(measured)


def differ(one, other):
    """Whether some leaf has another value."""
    return any(not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_the_initial_state_depends_on_the_configuration_and_the_seed_alone():
    state = begun(config(seed=3))
    reference.assert_trees_identical(begun(config(seed=3)), state)
    others = dict(
        train_fraction=0.7, batch_rule="full", dropout=0.5, batch_seed=8, steps=7, optimizer=AdamW(learning_rate=1.0)
    )
    for name, value in others.items():
        reference.assert_trees_identical(begun(config(seed=3, **{name: value})), state)
    another = begun(config(seed=4))
    assert differ(another.params, state.params)
    assert differ(another.order, state.order)
    assert state.step == 0


def test_each_stream_can_be_pinned_alone():
    state = begun(config(seed=3))
    split, init = begun(config(seed=3, split_seed=4)), begun(config(seed=3, init_seed=4))
    reference.assert_trees_identical(split.params, state.params)
    assert differ(split.order, state.order)
    reference.assert_trees_identical(init.order, state.order)
    assert differ(init.params, state.params)


def test_streams_of_equal_seeds_have_different_keys():
    values = RunValues.of(config(seed=3))
    keys = {tuple(jax.random.key_data(runs.stream_key(values, name)).tolist()) for name in STREAMS}
    assert len(keys) == len(STREAMS)


def test_the_batch_seed_changes_the_batches():
    state = begun(config(seed=3))
    one, _ = advanced(config(seed=3), state, 3)
    other, _ = advanced(config(seed=3, batch_seed=4), state, 3)
    reference.assert_trees_identical(other.order, one.order)
    assert differ(other.params, one.params)


def test_validation_labels_change_no_parameter():
    told = config()
    program, values, table = parts(told)
    state = begun(told)
    val = np.asarray(state.order)[told.num_train :]
    labels = table.labels.copy()
    labels[val] = (labels[val] + 1) % 5
    chunk = compiled(program)[1]
    five = np.int32(5), np.True_, np.True_
    one, before = chunk(values, table, state, *five)
    other, after = chunk(values, table, state._replace(labels=labels), *five)
    before, after = metrics_of(before), metrics_of(after)
    reference.assert_trees_identical(other.params, one.params)
    np.testing.assert_array_equal(after[:2], before[:2])
    assert after[2] != before[2]
    train = np.asarray(state.order)[: told.num_train]
    labels = table.labels.copy()
    labels[train] = (labels[train] + 1) % 5
    changed, _ = chunk(values, table, state._replace(labels=labels), *five)
    assert differ(changed.params, one.params)


def test_one_chunk_of_ten_steps_is_two_of_five():
    state = begun(config())
    whole, metrics = advanced(config(), state, 10)
    half, nothing = advanced(config(), state, 5, evaluates=False)
    both, again = advanced(config(), half, 5)
    reference.assert_trees_identical(both, whole)
    np.testing.assert_array_equal(again, metrics)
    assert nothing.tolist() == [0.0] * 4
    assert whole.step == 10


def test_no_steps_leave_the_state_as_it_is():
    state, _ = advanced(config(), begun(config()), 3)
    after, _ = advanced(config(), state, 0)
    reference.assert_trees_identical(after, state)


def check_metrics(metrics, told, state):
    """The four metrics are those counted with the reference decoder."""
    program, _, _ = parts(told)
    table, order = told.task.table(), np.asarray(state.order)
    logits = reference.decoder_logits(program.model, reference.float64(state.params), table.inputs)
    loss = reference.row_losses(logits, table.labels)
    right = (logits.argmax(-1) == table.labels).all(-1)
    train, val = order[: told.num_train], order[told.num_train :]
    assert len(train) + len(val) == table.num_examples
    # A loss is off by at most twice as much as the logits, and then by its own rounding.
    off = 2 * reference.rounding(program.model, table.num_examples) * np.abs(logits).max()
    np.testing.assert_allclose(metrics[::2], [loss[train].mean(), loss[val].mean()], rtol=0, atol=off)
    np.testing.assert_allclose(metrics[1::2], [right[train].mean(), right[val].mean()], rtol=2 * EPSILON)


@pytest.mark.parametrize("block_rows", [2048, 10])
def test_the_metrics_are_those_counted_by_hand(block_rows, monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_ROWS", block_rows)
    told = config(train_fraction=0.36)
    state, _ = advanced(config(), begun(told), 30, evaluates=False)
    program, values, table = parts(told)
    evaluate = jax.jit(functools.partial(runs.evaluate, program))
    measured = evaluate(values, table, state)
    metrics = np.array([measured[name] for name in MEASURED])
    check_metrics(metrics, told, state)
    assert len(set(metrics.tolist())) == 4, "four different numbers, lest one pass for another"


def test_a_chunk_ends_with_the_metrics_of_its_last_state():
    told = config()
    state, metrics = advanced(told, begun(told), 30)
    check_metrics(np.asarray(metrics), told, state)


def test_a_tiny_model_memorises_its_training_rows():
    told = config(optimizer=AdamW(learning_rate=1e-2, weight_decay=0.1), train_fraction=0.8)
    state = begun(told)
    _, before = advanced(told, state, 0)
    _, after = advanced(told, state, 600)
    assert before[1] < 0.6
    assert after[1] == 1.0
    assert after[0] < 0.1


def test_runs_mapped_together_are_the_runs_alone():
    told = [
        config(seed=0),
        config(seed=1, train_fraction=0.7),
        config(seed=2, optimizer=AdamW(learning_rate=3e-3, weight_decay=1.0)),
    ]
    program, _, table = parts(told[0])
    values = [RunValues.of(one) for one in told]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *values)
    (init, chunk), (init_lanes, chunk_lanes) = compiled(program), compiled(program, 3)
    states, lanes = [init(one, table) for one in values], init_lanes(together, table)

    def lane(tree, i):
        return jax.tree.map(lambda leaf: np.asarray(leaf)[i], tree)

    for i, state in enumerate(states):
        reference.assert_trees_identical(lane(lanes, i), state)

    mapped_rows = jax.jit(jax.vmap(functools.partial(batch_rows_of, program), (0, 0, None)))
    for step in range(20):
        mapped = mapped_rows(together, lanes, np.int32(step))
        for i, state in enumerate(states):
            reference.assert_trees_identical(lane(mapped, i), batch_rows(program, values[i], state, np.int32(step)))

    # One step's losses differ by rounding; through Adam's quotient of two small numbers a difference may then grow.
    tolerance = 20 * reference.rounding(program.model, 25)
    one, true = np.int32(1), np.True_
    for _ in range(20):
        lanes, mapped = chunk_lanes(together, table, lanes, one, true, true)
        for i in range(3):
            states[i], alone = chunk(values[i], table, states[i], one, true, true)
            np.testing.assert_allclose(metrics_of(mapped)[i, ::2], metrics_of(alone)[::2], rtol=tolerance)


@functools.partial(jax.jit, static_argnums=0)
def batch_rows(program, values, state, step):
    return batch_rows_of(program, values, state, step)


def batch_rows_of(program, values, state, step):
    """The rows of the table that a step trains on, and whether they count."""
    key = runs.stream_key(values, "batch")
    places, counts = batch_positions(program.batch_rule, key, step, values.num_train, program.batch_rows)
    return state.order[places], counts


def test_another_value_of_a_run_does_not_recompile():
    told = config()
    program, _, table = parts(told)
    traces = []

    @jax.jit
    def run(values, table, num_steps):
        traces.append(None)
        state = init_run(program, values, table)
        return runs.train_chunk(program, values, table, state, num_steps, jnp.bool_(True), jnp.bool_(True))

    for changed in (
        dict(seed=5),
        dict(train_fraction=0.7),
        dict(init_scale=2.0),
        dict(optimizer=AdamW(learning_rate=0.5, weight_decay=0.0, warmup_steps=0)),
        dict(batch_seed=7),
    ):
        other, values, _ = parts(config(**changed))
        assert other == program
        assert hash(other) == hash(program)
        run(values, table, np.int32(values.seeds["batch"]))
    assert len(traces) == 1


@pytest.mark.parametrize(
    "changed", [dict(batch_size=4), dict(batch_rule="fixed"), dict(dropout=0.1), dict(optimizer=Sgd())]
)
def test_what_shapes_the_program_makes_another_one(changed):
    assert parts(config(**changed))[0] != parts(config())[0]


def test_init_scale_scales_every_matrix_and_nothing_else():
    model = dataclasses.replace(config().model, bias="all", positions="learned")
    plain, scaled = begun(config(model=model)), begun(config(model=model, init_scale=4.0))
    for x, y in zip(jax.tree.leaves(plain.params), jax.tree.leaves(scaled.params), strict=True):
        np.testing.assert_array_equal(y, 4.0 * x if x.ndim == 2 else x)
    reference.assert_trees_identical(scaled.order, plain.order)


GRADIENT = Sgd(learning_rate=1.0, warmup_steps=0)


def check_step(told, state, rows):
    """One step of plain gradient descent moves the parameters by the reference's gradient over these rows."""
    program, _, _ = parts(told)
    table = told.task.table()
    after, _ = advanced(told, state, 1, evaluates=False)
    moved = jax.tree.map(lambda new, old: np.asarray(old) - np.asarray(new), after.params, state.params)
    # The new parameters are rounded by at most epsilon times their size, and the gradient itself is smaller.
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(after.params))
    steepest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(moved))
    relative = 2 * reference.rounding(program.model, len(rows)) + EPSILON * largest / steepest
    reference.assert_is_gradient(moved, program.model, state.params, table.inputs[rows], table.labels[rows], relative)
    assert after.step == state.step + 1


@pytest.mark.parametrize(
    ("modulus", "fraction", "num_train", "batch_rows"),
    [(5, 0.2, 5, 5), (7, 0.36, 17, 18)],
)
def test_a_full_batch_is_exactly_the_training_rows(modulus, fraction, num_train, batch_rows):
    task = modular("add", modulus)
    told = config(task=task, batch_rule="full", optimizer=GRADIENT, train_fraction=fraction)
    assert (told.num_train, told.batch_rows) == (num_train, batch_rows)
    state = begun(told)
    check_step(told, state, np.asarray(state.order)[:num_train])


def test_a_full_batch_may_be_padded_beyond_the_table():
    model = dataclasses.replace(config().model, num_layers=2)
    told = config(task=modular("add", 10), model=model, batch_rule="full", optimizer=GRADIENT, train_fraction=0.97)
    assert (told.num_train, told.task.num_examples, told.batch_rows) == (97, 100, 104)
    state = begun(told)
    check_step(told, state, np.asarray(state.order)[:97])


@pytest.mark.parametrize("rule", ["shuffled", "fixed"])
def test_the_two_batches_of_an_epoch_are_the_training_rows_and_the_short_one_counts_its_own_alone(rule):
    told = config(batch_rule=rule, optimizer=GRADIENT)
    program, values, _ = parts(told)
    state, seen = begun(told), []
    for step, size in enumerate((8, 4)):
        state = state._replace(step=jnp.int32(step))
        rows, counts = batch_rows(program, values, state, state.step)
        rows = np.asarray(rows)[np.asarray(counts)]
        assert len(rows) == size
        check_step(told, state, rows)
        seen += rows.tolist()
    assert sorted(seen) == sorted(np.asarray(state.order)[: told.num_train].tolist())


def test_dropout_acts_on_training_and_not_on_evaluation():
    told = config(dropout=0.4, optimizer=GRADIENT, batch_rule="fixed")
    state = begun(told)
    one, _ = advanced(told, state, 1)
    again, _ = advanced(told, state, 1)
    reference.assert_trees_identical(again, one)
    others = {
        "another seed": (dataclasses.replace(told, dropout_seed=9), state),
        "another rate": (dataclasses.replace(told, dropout=0.2), state),
        "the same rows an epoch later": (told, state._replace(step=jnp.int32(2))),
    }
    for name, (changed, begin) in others.items():
        assert differ(advanced(changed, begin, 1)[0].params, one.params), name
    _, metrics = advanced(told, state, 0)
    check_metrics(np.asarray(metrics), told, state)
