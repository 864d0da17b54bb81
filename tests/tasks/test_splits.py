import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from grokjax.tasks import splits
from grokjax.tasks.splits import batch_positions, shuffle, split_order, train_weights

BATCH = 8
MOST_STEPS = 2_000
MOST, RUNS = 50, 24_000
FEW = settings(max_examples=25, deadline=None)


@functools.partial(jax.jit, static_argnums=(0, 4))
def batches(rule, key, steps, num_train, batch_rows):
    """[steps, batch] places and whether they count."""
    one = functools.partial(batch_positions, rule)
    return jax.vmap(one, (None, 0, None, None))(key, steps, num_train, batch_rows)


def batches_of(rule, seed, num_train, num_steps, batch_rows=BATCH):
    """[num_steps, batch]; every call with a rule and size is the same program."""
    steps = jnp.arange(MOST_STEPS, dtype=jnp.int32)
    places, counts = batches(rule, jax.random.key(seed), steps, jnp.int32(num_train), batch_rows)
    return np.asarray(places)[:num_steps], np.asarray(counts)[:num_steps]


@jax.jit
def shuffled(keys, counts):
    """[runs, MOST] of each key the permutation of 0 .. count-1, and behind it what place 0 holds."""
    places = jnp.arange(MOST, dtype=jnp.int32)
    return jax.vmap(lambda key, count: shuffle(key, jnp.where(places < count, places, 0), count))(keys, counts)


def permutations(seed, count):
    """[RUNS, count] of many keys a permutation each."""
    keys = jax.random.split(jax.random.key(seed), RUNS)
    return np.asarray(shuffled(keys, jnp.full(RUNS, count, jnp.int32)))[:, :count]


@FEW
@given(st.integers(0, 2**31 - 1), st.sampled_from([2, 25, 60]))
def test_a_split_is_an_order_of_all_rows(seed, num_examples):
    order = split_order(jax.random.key(seed), num_examples)
    assert order.dtype == jnp.int32
    assert sorted(order.tolist()) == list(range(num_examples))


@FEW
@given(st.integers(0, 2**31 - 1), st.data())
def test_splits_are_nested_disjoint_and_of_the_exact_size(seed, data):
    num_examples = 60
    smaller = data.draw(st.integers(1, num_examples - 1))
    larger = data.draw(st.integers(smaller, num_examples - 1))
    order = np.asarray(split_order(jax.random.key(seed), num_examples))
    trains = {}
    for num_train in (smaller, larger):
        weights = np.asarray(train_weights(num_examples, jnp.int32(num_train)))
        assert set(weights) <= {0.0, 1.0}
        train, val = set(order[weights == 1]), set(order[weights == 0])
        assert len(train) == num_train
        assert len(val) == num_examples - num_train
        assert not train & val
        trains[num_train] = train
    assert trains[smaller] <= trains[larger]


def test_different_keys_split_differently():
    orders = {tuple(split_order(jax.random.key(seed), 60).tolist()) for seed in range(20)}
    assert len(orders) == 20


@pytest.mark.parametrize("rule", ["shuffled", "fixed"])
@pytest.mark.parametrize("num_train", [1, 7, 8, 9, 16, 23, 40])
def test_an_epoch_visits_every_training_row_exactly_once(rule, num_train):
    steps_per_epoch = -(-num_train // BATCH)
    places, counts = batches_of(rule, 3, num_train, 3 * steps_per_epoch)
    assert places.min() >= 0
    assert places.max() < num_train
    for epoch in range(3):
        of_epoch = slice(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch)
        visited = places[of_epoch][counts[of_epoch]]
        assert sorted(visited) == list(range(num_train))


@pytest.mark.parametrize("rule", ["shuffled", "fixed"])
@pytest.mark.parametrize("num_train", [1, 7, 8, 9, 16, 23, 40])
def test_only_the_last_batch_of_an_epoch_is_short(rule, num_train):
    steps_per_epoch = -(-num_train // BATCH)
    _, counts = batches_of(rule, 3, num_train, 2 * steps_per_epoch)
    short = num_train - (steps_per_epoch - 1) * BATCH
    expected = [BATCH] * (steps_per_epoch - 1) + [short]
    assert counts.sum(1).tolist() == 2 * expected
    assert (np.diff(counts.astype(int), axis=1) <= 0).all(), "what counts comes first"


def test_fixed_batches_repeat_in_every_epoch():
    places, counts = batches_of("fixed", 3, 20, 9)
    for epoch in (1, 2):
        np.testing.assert_array_equal(places[:3], places[3 * epoch : 3 * epoch + 3])
        np.testing.assert_array_equal(counts[:3], counts[3 * epoch : 3 * epoch + 3])


def test_shuffled_batches_differ_between_epochs_and_keys():
    places, counts = batches_of("shuffled", 3, 40, 50)
    epochs = {tuple(epoch.ravel()) for epoch in places.reshape(10, 5 * BATCH)}
    assert len(epochs) == 10
    others, _ = batches_of("shuffled", 4, 40, 50)
    assert not (places == others).all(1).any()


@pytest.mark.parametrize(("num_train", "rows"), [(1, 1), (17, 18), (18, 18), (5, 8)])
def test_a_full_batch_is_all_training_rows_in_every_step(num_train, rows):
    places, counts = batches_of("full", 3, num_train, 4, rows)
    for step in range(4):
        assert places[step][counts[step]].tolist() == list(range(num_train))
        assert places[step].max() < num_train


def test_the_shuffle_is_a_bijection_for_every_count():
    places, counts = jnp.arange(200, dtype=jnp.int32), np.arange(1, 201, dtype=np.int32)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def up_to_200(key, count):
        return shuffle(key, jnp.where(places < count, places, 0), count)

    for seed in range(5):
        found = np.asarray(up_to_200(jax.random.key(seed), counts))
        for count, permutation in zip(counts, found, strict=True):
            assert sorted(permutation[:count]) == list(range(count)), count


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_shuffle_gives_every_order_equally_often(count):
    numbers = {order: i for i, order in enumerate(itertools.permutations(range(count)))}
    found = [numbers[tuple(order)] for order in permutations(11, count).tolist()]
    assert stats.chisquare(np.bincount(found, minlength=len(numbers))).pvalue > 1e-6


def test_every_number_is_equally_likely_at_every_place():
    orders = permutations(12, MOST)
    found = np.zeros((MOST, MOST))
    np.add.at(found, (np.broadcast_to(np.arange(MOST), orders.shape), orders), 1)
    expected = RUNS / MOST
    # Rows and columns of the counts have fixed sums: (n - 1)^2 degrees of freedom, and a factor (n - 1)/n.
    statistic = ((found - expected) ** 2 / expected).sum() * (MOST - 1) / MOST
    assert stats.chi2.sf(statistic, (MOST - 1) ** 2) > 1e-6
    assert stats.chi2.cdf(statistic, (MOST - 1) ** 2) > 1e-6


def test_the_numbers_at_two_neighbouring_places_are_independent():
    orders = permutations(13, MOST)
    differences = (orders[:, 1:] - orders[:, :-1]) % MOST
    for place in (0, 1, 20, MOST - 2):
        found = np.bincount(differences[:, place], minlength=MOST)
        assert found[0] == 0
        assert stats.chisquare(found[1:]).pvalue > 1e-6


def test_orders_of_successive_epochs_are_independent():
    num_train = 40
    places, _ = batches_of("shuffled", 5, num_train, MOST_STEPS)
    epochs = places.reshape(-1, num_train)
    moved = (epochs[1:] - epochs[:-1]) % num_train
    stayed, expected = (moved == 0).sum(), moved.size / num_train
    assert abs(stayed - expected) < 5 * expected**0.5


def test_a_traced_count_gives_what_a_fixed_one_gives():
    count, keys = 37, jax.random.split(jax.random.key(7), RUNS)
    places = jnp.arange(count, dtype=jnp.int32)
    traced = shuffled(keys, jnp.full(RUNS, count, jnp.int32))
    eager = shuffle(keys[5], places, jnp.int32(count))
    fixed = jax.jit(lambda key: shuffle(key, places, jnp.int32(count)))(keys[5])
    np.testing.assert_array_equal(eager, traced[5, :count])
    np.testing.assert_array_equal(fixed, traced[5, :count])


def test_a_batch_is_the_same_alone_traced_and_mapped():
    key = jax.random.key(7)
    places, counts = batches_of("shuffled", 7, 23, 6)
    for step in (0, 2, 5):
        alone, counted = batch_positions("shuffled", key, jnp.int32(step), jnp.int32(23), BATCH)
        np.testing.assert_array_equal(alone, places[step])
        np.testing.assert_array_equal(counted, counts[step])


def test_another_number_of_training_rows_does_not_recompile():
    traces = []

    @jax.jit
    def both(key, step, num_train):
        traces.append(None)
        return batch_positions("shuffled", key, step, num_train, BATCH), train_weights(60, num_train)

    for num_train in (9, 23, 59):
        for step in (0, 100):
            both(jax.random.key(num_train), jnp.int32(step), jnp.int32(num_train))
    assert len(traces) == 1


UNITS = np.repeat(np.arange(40), [1, 2] * 20).astype(np.int32)


@jax.jit
def by_unit(seed):
    return split_order(jax.random.key(seed), 60, UNITS)


@FEW
@given(st.integers(0, 2**31 - 1), st.integers(1, 59))
def test_a_split_by_unit_keeps_units_on_one_side_and_the_count_exact(seed, num_train):
    order = np.asarray(by_unit(seed))
    assert sorted(order.tolist()) == list(range(60))
    units = UNITS[order]
    assert all(units[i] == units[i + 1] for i in range(59) if units[i] in units[i + 1 :])
    val = np.asarray(splits.val_weights(jnp.int32(num_train), jnp.asarray(order), UNITS)).astype(bool)
    train = np.asarray(train_weights(60, jnp.int32(num_train))).astype(bool)
    assert train.sum() == num_train and not (train & val).any()
    assert not set(units[train]) & set(units[val])
    assert (~train & ~val).sum() <= 1, "at most the other half of the pair that the training set ends in"


def test_where_no_two_rows_belong_together_a_split_by_unit_is_that_by_row():
    key = jax.random.key(3)
    np.testing.assert_array_equal(split_order(key, 50, np.arange(50, dtype=np.int32)), split_order(key, 50))


PART = np.array([0] * 30 + [1] * 20, np.int32)


@jax.jit
def by_part(seed, part_rows):
    return split_order(jax.random.key(seed), 50, None, PART, part_rows)


@FEW
@given(st.integers(0, 2**31 - 1), st.integers(0, 30), st.integers(0, 20))
def test_each_part_has_as_many_training_rows_as_asked_for_and_they_are_nested(seed, first, second):
    rows = {}
    for counts in ((first, second), (30, second), (first, 20)):
        order = np.asarray(by_part(seed, np.array(counts, np.int32)))
        assert sorted(order.tolist()) == list(range(50))
        rows[counts] = set(order[: sum(counts)].tolist())
        assert [sum(PART[row] == part for row in rows[counts]) for part in (0, 1)] == list(counts)
    assert rows[first, second] <= rows[30, second] and rows[first, second] <= rows[first, 20]


def test_the_parts_of_a_mixture_are_each_split_by_unit():
    unit = np.concatenate([np.arange(15).repeat(2), 15 + np.arange(10).repeat(2)]).astype(np.int32)
    for seed in range(20):
        counts = np.array([seed % 13 + 2, 7], np.int32)
        order = np.asarray(split_order(jax.random.key(seed), 50, unit, PART, counts))
        num_train = int(counts.sum())
        val = np.asarray(splits.val_weights(jnp.int32(num_train), jnp.asarray(order), unit)).astype(bool)
        assert not set(unit[order[:num_train]]) & set(unit[order[val]])
        assert (~val[num_train:]).sum() <= 2


def test_where_nothing_trains_all_rows_validate():
    val = splits.val_weights(jnp.int32(0), jnp.arange(6, dtype=jnp.int32), np.arange(6, dtype=np.int32) // 2)
    assert val.tolist() == [1.0] * 6


def labelled(classes=7, examples=90):
    return np.random.default_rng(0).integers(0, classes, (examples, 2)).astype(np.int32)


@jax.jit
def outliers_of(seed, labels, num_train, num_outliers):
    order = split_order(jax.random.key(seed), labels.shape[0])
    return order, splits.with_outliers(jax.random.key(seed + 1), labels, order, num_train, num_outliers)


@FEW
@given(st.integers(0, 2**30), st.integers(10, 90), st.data())
def test_outliers_are_training_rows_alone_exactly_as_many_and_nested(seed, num_train, data):
    labels = labelled()
    few = data.draw(st.integers(0, num_train))
    more = data.draw(st.integers(few, num_train))
    wrong = {}
    for count in (few, more):
        order, found = (np.asarray(x) for x in outliers_of(seed, labels, jnp.int32(num_train), jnp.int32(count)))
        changed = np.flatnonzero((found != labels).any(1))
        train = order[:num_train]
        assert len(changed) == count and set(changed) <= set(train)
        assert (found[changed, 0] != labels[changed, 0]).all(), "the first answer is wrong"
        donors = {tuple(row) for row in labels[train].tolist()}
        assert all(tuple(row) in donors for row in found[changed].tolist())
        wrong[count] = {(row, *found[row].tolist()) for row in changed}
    assert wrong[few] <= wrong[more]


def test_outliers_come_from_all_other_answers_in_proportion():
    labels = np.array([[0]] * 50 + [[1]] * 30 + [[2]] * 10, np.int32)
    counts = np.zeros((3, 3))
    for seed in range(200):
        found = np.asarray(outliers_of(seed, labels, jnp.int32(90), jnp.int32(90))[1])
        np.add.at(counts, (labels[:, 0], found[:, 0]), 1)
    assert not np.diag(counts).any()
    shares = counts / counts.sum(1, keepdims=True)
    expected = np.array([[0, 3 / 4, 1 / 4], [5 / 6, 0, 1 / 6], [5 / 8, 3 / 8, 0]])
    np.testing.assert_allclose(shares, expected, atol=0.05)  # 2,000 draws in the smallest row: five deviations


def test_where_all_training_rows_have_the_same_answer_none_can_be_wrong():
    labels = np.zeros((90, 1), np.int32)
    assert not np.asarray(outliers_of(0, labels, jnp.int32(15), jnp.int32(5))[1]).any()


def test_random_labels_are_shared_by_a_group_differ_by_key_and_leave_the_others():
    group = np.array([0, 0, 1, 1, 2, -1, -1] * 100, np.int32)
    group = np.where(group >= 0, group + 3 * (np.arange(700) // 7), -1).astype(np.int32)
    labels = np.full((700, 1), 9, np.int32)
    one, other = (np.asarray(splits.random_labels(jax.random.key(k), labels, group, np.int32(4)))[:, 0] for k in (0, 1))
    assert (one[group < 0] == 9).all()
    drawn = one[group >= 0].reshape(100, 5)
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 2] == drawn[:, 3]).all()
    assert 0.6 < (drawn[:, 0] != drawn[:, 2]).mean() < 0.9
    assert sorted(set(drawn.ravel().tolist())) == [0, 1, 2, 3]
    assert 0.6 < (one != other)[group >= 0].mean() < 0.9


def test_rows_with_random_labels_never_validate():
    group = np.array([-1, 4, -1, 4, -1], np.int32)
    val = splits.val_weights(jnp.int32(1), jnp.arange(5, dtype=jnp.int32), None, group)
    assert val.tolist() == [0, 0, 1, 0, 1]
