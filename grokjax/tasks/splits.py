"""Which rows train, and which of them a step sees. Pure functions of keys and per-run values."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt

SHUFFLE_ROUNDS = 32
UNROLLED_ROUNDS = 4


def split_order(key: Key[Array, ""], num_examples: int) -> Int[Array, " examples"]:
    """Ranks the rows of the full table at random; the first `num_train` of the order train, the others validate.

    One key gives one order, so splits are nested: a larger `num_train` only adds rows, and two train fractions
    differ in nothing else.

    Args:
      key: consumed here.
      num_examples: rows in the table; static.

    Returns:
      [examples] int32, the rows in their order.

    Source: the random split of Power et al. 2022, arXiv:2201.02177; nesting across fractions is ours.
    """
    return jax.random.permutation(key, jnp.arange(num_examples, dtype=jnp.int32))


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
    """Scrambles 32-bit words: the finaliser of MurmurHash3, a bijection in which every bit hangs on every other."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def train_weights(num_examples: int, num_train: Int[Array, ""]) -> Float[Array, " examples"]:
    """[examples] 1.0 for the places of the split's order that train, 0.0 for those that validate."""
    return (jnp.arange(num_examples, dtype=jnp.int32) < num_train).astype(jnp.float32)
