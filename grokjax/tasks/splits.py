"""Which rows train, and which of them a step sees. Pure functions of keys and per-run values."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Real, UInt

SHUFFLE_ROUNDS = 32
UNROLLED_ROUNDS = 4


def split_order(
    key: Key[Array, ""],
    num_examples: int,
    unit: Int[Any, " examples"] | None = None,
    part: Int[Any, " examples"] | None = None,
    part_rows: Int[Any, " parts"] | None = None,
) -> Int[Array, " examples"]:
    """Ranks the rows of the full table at random; the first of the order train, the others validate.

    One key gives one order, so splits are nested: a larger training set only adds rows, and two train fractions
    differ in nothing else.

    Args:
      key: consumed here.
      num_examples: rows in the table; static.
      unit: rows of the same number stay side by side, such as the two orders of a commutative pair.
      part: the part of the task a row belongs to.
      part_rows: how many rows of each part train. May be traced. With parts, the training rows of all of them lead.

    Returns:
      [examples] int32, the rows in their order.

    Source: the random split of Power et al. 2022, arXiv:2201.02177; nesting across fractions is ours.
    """
    order = jax.random.permutation(key, jnp.arange(num_examples, dtype=jnp.int32))
    if unit is not None:
        rank = jnp.argsort(order).astype(jnp.int32)
        first = jnp.full(num_examples, num_examples, jnp.int32).at[unit].min(rank)
        order = jnp.lexsort((rank, first[unit])).astype(jnp.int32)
    if part is not None:
        part = jnp.asarray(part)[order]
        member = part[:, None] == jnp.arange(part_rows.shape[0], dtype=jnp.int32)
        place = (jnp.cumsum(member, axis=0, dtype=jnp.int32) - 1)[jnp.arange(num_examples), part]
        trains = place < part_rows[part]
        order = order[jnp.argsort(~trains, stable=True)]
    return order


def batch_positions(
    rule: str,
    key: Key[Array, ""],
    step: Int[Array, ""],
    num_train: Int[Array, ""],
    batch_rows: int,
) -> tuple[Int[Array, " batch"], Bool[Array, " batch"]]:
    """The places in the split's order that one step trains on.

    An epoch is ceil(num_train / batch_rows) steps and visits every training row exactly once; its last batch may be
    short. 'shuffled' visits them in an order that is a pure function of (key, epoch); 'fixed' keeps the same batches
    in every epoch; 'full' takes all rows in each step.

    Args:
      rule: 'shuffled', 'fixed' or 'full'; static.
      key: of the run's batch stream; one key serves all steps.
      step: optimizer updates done so far.
      num_train: rows that train. May be traced.
      batch_rows: size of the returned arrays; for 'full' at least num_train. Static.

    Returns:
      [batch] int32 places below num_train, and [batch] True where the place counts (False: padding of a short batch).
    """
    slots = jnp.arange(batch_rows, dtype=jnp.int32)
    if rule == "full":
        return jnp.minimum(slots, num_train - 1), slots < num_train
    steps_per_epoch = (num_train + batch_rows - 1) // batch_rows
    positions = step % steps_per_epoch * batch_rows + slots
    counts = positions < num_train
    positions = jnp.where(counts, positions, 0)
    if rule == "shuffled":
        epoch_key = jax.random.fold_in(key, step // steps_per_epoch)
        positions = shuffle(epoch_key, positions, num_train)
    return positions, counts


def shuffle(key: Key[Array, ""], positions: Int[Array, " batch"], count: Int[Array, ""]) -> Int[Array, " batch"]:
    """Looks up places of a random permutation of 0 .. count-1 without making the permutation.

    The swap-or-not shuffle: in each round every number x has a partner (k - x) mod count, and the pair swaps places
    if a random bit of the pair says so. Each round is a bijection for any count, so `count` may be traced, no table
    is sorted, and a batch costs only its own rows.

    Args:
      key: of the permutation; consumed here.
      positions: [batch] int32 below count.
      count: size of the permutation. May be traced.

    Returns:
      [batch] int32, the numbers at these places.

    Source: Hoang, Morris and Rogaway 2012, "An Enciphering Scheme Based on a Card Shuffle", arXiv:1208.1176.
    """
    offsets, salts = jax.random.bits(key, (2, SHUFFLE_ROUNDS), jnp.uint32)
    offsets = (offsets % count.astype(jnp.uint32)).astype(jnp.int32)

    def swap(i, positions):
        partner = offsets[i] - positions
        partner = jnp.where(partner < 0, partner + count, partner)
        pair = jnp.maximum(positions, partner).astype(jnp.uint32)
        return jnp.where(_mix(pair ^ salts[i]) >> 31 == 1, partner, positions)

    # A loop: unrolled, compilers that fuse by copying operands take exponential time in the number of rounds.
    return jax.lax.fori_loop(0, SHUFFLE_ROUNDS, swap, positions, unroll=UNROLLED_ROUNDS)


def _mix(x: UInt[Array, "*shape"]) -> UInt[Array, "*shape"]:
    """Scrambles 32-bit words: the finaliser of MurmurHash3, a bijection in which every bit depends on every other."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def train_weights(num_examples: int, num_train: Int[Array, ""]) -> Float[Array, " examples"]:
    """[examples] 1.0 for the places of the split's order that train, 0.0 for the others."""
    return (jnp.arange(num_examples, dtype=jnp.int32) < num_train).astype(jnp.float32)


def val_weights(
    num_train: Int[Array, ""],
    order: Int[Array, " examples"],
    unit: Int[Any, " examples"] | None = None,
    label_group: Int[Any, " examples"] | None = None,
) -> Float[Array, " examples"]:
    """[examples] 1.0 for the places of the split's order that validate.

    Those are the places that do not train, without rows whose label is random, and, where units are not to be split,
    without the rest of a unit that the training set ends in.
    """
    val = jnp.arange(order.shape[0], dtype=jnp.int32) >= num_train
    if unit is not None:
        unit = jnp.asarray(unit)[order]
        val &= jnp.ones(order.shape[0], bool).at[unit].min(val)[unit]
    if label_group is not None:
        val &= label_group[order] < 0
    return val.astype(jnp.float32)


def random_labels(
    key: Key[Array, ""],
    labels: Int[Any, "examples answers"],
    label_group: Int[Any, " examples"],
    num_classes: Int[Any, ""],
) -> Int[Array, "examples answers"]:
    """The labels, with one drawn at random for each group of rows.

    Args:
      key: consumed here.
      labels: of the table.
      label_group: rows of the same non-negative group share a label; -1 keeps its own.
      num_classes: labels are drawn uniformly from 0 .. num_classes-1.
    """
    drawn = jax.random.randint(key, (labels.shape[0],), 0, num_classes, jnp.int32)
    return jnp.where((label_group >= 0)[:, None], drawn[label_group][:, None], labels)


def with_outliers(
    key: Key[Array, ""],
    labels: Real[Any, "examples answers"],
    order: Int[Array, " examples"],
    num_train: Int[Array, ""],
    num_outliers: Int[Array, ""],
) -> Real[Array, "examples answers"]:
    """The labels, with those of some training rows replaced by those of other training rows.

        rank the training rows at random: as many as there are outliers, of the lowest ranks, are replaced
        sort the training rows by their answer, so that those of one answer are a stretch
        draw a donor for each row from the training rows outside its own stretch

    So a donor's first answer differs from the row's, and exactly as many rows are wrong as asked for (unless all
    training rows have the same answer). One key gives nested sets: more outliers only add rows.

    Args:
      key: consumed here.
      labels: of the table.
      order: of the split, training rows first.
      num_train: rows that train. May be traced.
      num_outliers: at most num_train. May be traced.

    Returns:
      [examples, answers].

    Source: the outliers of Power et al. 2022, arXiv:2201.02177, figure 6; donors with another answer are ours.
    """
    rank_key, donor_key = jax.random.split(key)
    places = jnp.arange(order.shape[0], dtype=jnp.int32)  # [examples], in the order of the split, as all below
    trains = places < num_train
    rank = shuffle(rank_key, jnp.where(trains, places, 0), num_train)
    by_answer, low, high = _stretches(labels[order, 0], trains)
    others = num_train - (high - low)  # training rows with another answer
    donor = jax.random.randint(donor_key, places.shape, 0, jnp.maximum(others, 1), jnp.int32)  # counted among them
    donor = by_answer[donor + jnp.where(donor >= low, high - low, 0)]  # the row's own stretch is skipped
    replaced = trains & (rank < num_outliers) & (others > 0)
    return labels.at[order].set(jnp.where(replaced[:, None], labels[order[donor]], labels[order]))


def _stretches(answer: Real[Array, " examples"], trains: Bool[Array, " examples"]):
    """Training rows sorted by answer.

    Returns:
      [examples] int32 places, training rows first and sorted; and for each row the first place of the stretch of its
      answer, and the place after its last.
    """
    last = jnp.inf if jnp.issubdtype(answer.dtype, jnp.floating) else jnp.iinfo(jnp.int32).max
    sortable = jnp.where(trains, answer, last)
    by_answer = jnp.argsort(sortable, stable=True)
    low, high = (jnp.searchsorted(sortable[by_answer], answer, side).astype(jnp.int32) for side in ("left", "right"))
    return by_answer, low, high
