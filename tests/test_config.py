import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax.config import (
    HOST,
    NEAR_MISSES,
    PROGRAM,
    RUN,
    Config,
    ConfigError,
    check_settings,
    evaluated_steps,
    padded,
    parse_eval_at,
    program_part,
    run_part,
    setting,
    settings,
    unknown_name,
)
from grokjax.models import MODELS, Decoder
from grokjax.optimizers import OPTIMIZERS, Adam, AdamW, RmsProp, Sgd, SgdMomentum
from grokjax.tasks import TASKS, Digits, Mixture, Modular
from grokjax.training import STREAMS


def config(modulus=10, **changed):
    """A run on the 100 rows of addition mod 10, with the settings named."""
    defaults = dict(task=Modular(modulus=modulus), model=Decoder(), optimizer=AdamW(), batch_size=8)
    return Config(**(defaults | changed))


LARGEST_SEED = 2**31 - 1

OUT_OF_RANGE = [
    (config, "seed", -1, "it must be at least 0. The default is 0."),
    (config, "seed", LARGEST_SEED + 1, f"it must be at most {LARGEST_SEED}. The default is 0."),
    (config, "split_seed", -1, "it must be at least 0."),
    (config, "split_seed", LARGEST_SEED + 1, f"it must be at most {LARGEST_SEED}."),
    (config, "init_seed", -1, "it must be at least 0."),
    (config, "init_seed", LARGEST_SEED + 1, f"it must be at most {LARGEST_SEED}."),
    (config, "batch_seed", -1, "it must be at least 0."),
    (config, "batch_seed", LARGEST_SEED + 1, f"it must be at most {LARGEST_SEED}."),
    (config, "dropout_seed", -1, "it must be at least 0."),
    (config, "dropout_seed", LARGEST_SEED + 1, f"it must be at most {LARGEST_SEED}."),
    (config, "train_fraction", 0.0, "it must be greater than 0.0. The default is 0.5."),
    (config, "train_fraction", 1.5, "it must be at most 1.0. The default is 0.5."),
    (config, "batch_size", 0, "it must be at least 1. The default is 512."),
    (config, "dropout", -0.1, "it must be at least 0.0. The default is 0.0."),
    (config, "dropout", 1.0, "it must be less than 1.0. The default is 0.0."),
    (config, "init_scale", 0.0, "it must be greater than 0.0. The default is 1.0."),
    (config, "steps", 0, "it must be at least 1. The default is 10000."),
    (config, "steps", 10**9 + 1, "it must be at most 1000000000. The default is 10000."),
    (config, "stop_accuracy", 0.0, "it must be greater than 0.0."),
    (config, "stop_accuracy", 1.5, "it must be at most 1.0."),
    (config, "hold_steps", -1, "it must be at least 0. The default is 100."),
    (Modular, "modulus", 1, "it must be at least 2. The default is 97."),
    (Modular, "modulus", 46_341, "it must be at most 46340. The default is 97."),
    (Decoder, "num_layers", 0, "it must be at least 1. The default is 2."),
    (Decoder, "width", 0, "it must be at least 1. The default is 128."),
    (Decoder, "num_heads", 0, "it must be at least 1. The default is 4."),
    (Decoder, "mlp_width", -1, "it must be at least 0."),
    (AdamW, "learning_rate", -1.0, "it must be at least 0.0. The default is 0.001."),
    (AdamW, "weight_decay", -1.0, "it must be at least 0.0. The default is 1.0."),
    (AdamW, "warmup_steps", -1.0, "it must be at least 0.0. The default is 10.0."),
    (AdamW, "b1", 1.0, "it must be less than 1.0. The default is 0.9."),
    (AdamW, "b1", -0.5, "it must be at least 0.0. The default is 0.9."),
    (Adam, "b2", 1.0, "it must be less than 1.0. The default is 0.98."),
    (Adam, "b2", -0.5, "it must be at least 0.0. The default is 0.98."),
    (Adam, "eps", -1.0, "it must be at least 0.0. The default is 1e-08."),
    (Adam, "weight_decay", -1.0, "it must be at least 0.0. The default is 0.0."),
    (Sgd, "learning_rate", -1.0, "it must be at least 0.0. The default is 0.01."),
    (SgdMomentum, "momentum", 1.0, "it must be less than 1.0. The default is 0.9."),
    (SgdMomentum, "momentum", -0.5, "it must be at least 0.0. The default is 0.9."),
    (RmsProp, "learning_rate", -1.0, "it must be at least 0.0. The default is 0.0005."),
    (RmsProp, "momentum", 1.0, "it must be less than 1.0. The default is 0.0."),
    (RmsProp, "b2", 1.0, "it must be less than 1.0. The default is 0.99."),
    (RmsProp, "eps", -1.0, "it must be at least 0.0. The default is 1e-08."),
]


@pytest.mark.parametrize(("make", "name", "value", "rest"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_with_its_name_its_bound_and_the_default(make, name, value, rest):
    with pytest.raises(ConfigError) as error:
        make(**{name: value})
    assert str(error.value) == f"{name}={value} is out of range: {rest}"


@pytest.mark.parametrize("owner", [Config, *TASKS.values(), *MODELS.values(), *OPTIMIZERS.values()])
def test_every_bound_of_every_setting_is_enforced(owner):
    make = config if owner is Config else owner
    for name, field in settings(owner).items():
        data = field.metadata
        unit = 1 if data["kind"] is int else 0.25
        outside = [data["low"] - unit] if data["low"] is not None else []
        outside += [data["high"] + unit] if data["high"] is not None else []
        outside += [data[bound] for bound in ("above", "below") if data[bound] is not None]
        for value in outside:
            with pytest.raises(ConfigError, match=f"^{name}={value} is out of range".replace("+", r"\+")):
                make(**{name: value})


@pytest.mark.parametrize(
    ("make", "name", "value", "message"),
    [
        (config, "seed", 1.5, "seed=1.5 is not a whole number. The default is 0."),
        (config, "seed", "one", "seed=one is not a whole number. The default is 0."),
        (config, "seed", True, "seed=True is not a whole number. The default is 0."),
        (config, "seed", None, "seed=None is not a whole number. The default is 0."),
        (config, "steps", float("inf"), "steps=inf is not a whole number. The default is 10000."),
        (config, "steps", float("nan"), "steps=nan is not a whole number. The default is 10000."),
        (config, "steps", "1/0", "steps=1/0 is not a whole number. The default is 10000."),
        (config, "train_fraction", "half", "train_fraction=half is not a number. The default is 0.5."),
        (config, "train_fraction", True, "train_fraction=True is not a number. The default is 0.5."),
        (
            config,
            "dropout",
            [0.1],
            "dropout=[0.1] holds several values, and one run has one of them. Try grokjax.sweep(config, dropout=...), "
            "where they make an axis.",
        ),
        (config, "train_fraction", float("nan"), "train_fraction=nan is not a finite number. The default is 0.5."),
        (config, "init_scale", "inf", "init_scale=inf is not a finite number. The default is 1.0."),
        (config, "stop_accuracy", float("nan"), "stop_accuracy=nan is not a finite number."),
        (config, "batch_rule", 3, "batch_rule=3 is not a name. The default is shuffled."),
        (
            config,
            "batch_rule",
            "shufled",
            "batch_rule=shufled is not known. Did you mean shuffled? Known: shuffled, fixed, full, stream.",
        ),
        (config, "precision", "x", "precision=x is not known. Known: float32, tensorfloat32, bfloat16."),
        (
            config,
            "eval_at",
            "each:50",
            "eval_at=each:50 is not a rule for evaluated steps. Try --eval_at=every:50 or --eval_at=log:300.",
        ),
        (Decoder, "norm", "Post", "norm=Post is not known. Did you mean post? Known: post, pre, none."),
        (Decoder, "bias", "some", "bias=some is not known. Known: none, mlp, all."),
        (
            Decoder,
            "positions",
            "learnt",
            "positions=learnt is not known. Did you mean learned? Known: sinusoidal, learned.",
        ),
        (
            Decoder,
            "init_scheme",
            "torch",
            "init_scheme=torch is not known. Did you mean pytorch? Known: pytorch, nanda, flax, normal.",
        ),
        (
            Decoder,
            "num_heads",
            5,
            "num_heads=5 does not divide width=128. Try --num_heads=2,4,8.",
        ),
        (
            Modular,
            "tokens",
            "a+b",
            "tokens=a+b is not known. Did you mean a b? Known: a o b =, a b =, a b, <eos> a o b = c <eos>.",
        ),
        (Modular, "output", "number", "output=number is not known. Did you mean numbers? Known: vocabulary, numbers."),
        (
            Modular,
            "operation",
            "ad",
            "operation=ad is not known. Did you mean add? Known: add, subtract, multiply, divide, divide_if_odd, "
            "random, random_symmetric, or a formula such as x^2+3*y.",
        ),
    ],
)
def test_what_cannot_be_converted_or_chosen_is_refused_with_what_is_known(make, name, value, message):
    with pytest.raises(ConfigError) as error:
        make(**{name: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("seed", "7", 7),
        ("seed", 7.0, 7),
        ("seed", np.int64(7), 7),
        ("seed", np.uint8(7), 7),
        ("split_seed", None, None),
        ("split_seed", "3", 3),
        ("steps", "1e3", 1000),
        ("steps", "2.5e3", 2500),
        ("steps", "12/4", 3),
        ("train_fraction", "0.3", 0.3),
        ("train_fraction", np.float64(0.3), 0.3),
        ("train_fraction", Fraction(1, 4), 0.25),
        ("init_scale", 2, 2.0),
        ("init_scale", "1e1", 10.0),
        ("stop_accuracy", None, None),
        ("stop_accuracy", 1, 1.0),
        ("eval_at", np.str_("every:7"), "every:7"),
    ],
)
def test_settings_are_converted_to_their_kind_without_loss(name, given_value, value):
    converted = getattr(config(**{name: given_value}), name)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("given_value", "value"),
    [(True, True), ("true", True), ("False", False), (0, False), (1, True), ("1", True), (np.bool_(False), False)],
)
def test_truth_values_are_read_from_words_and_digits(given_value, value):
    assert Switch(given_value).on is value


def test_other_words_are_no_truth_values():
    with pytest.raises(ConfigError, match="^on=maybe is not true or false. The default is False.$"):
        Switch("maybe")


@dataclasses.dataclass(frozen=True)
class Switch:
    on: bool = setting(False, "a switch")

    def __post_init__(self):
        check_settings(self)


def test_the_rows_that_train_are_counted_in_decimal():
    assert int(0.29 * 100) == 28, "the trap: floats lose a row"
    assert config(train_fraction=0.29).num_train == 29
    assert config(train_fraction="0.57").num_train == 57
    assert config(modulus=97, train_fraction=0.3).num_train == 2822
    assert config(modulus=113, train_fraction=0.3).num_train == 3830


@given(st.integers(1, 9_999), st.sampled_from([10, 31, 97, 113]))
def test_the_count_that_trains_is_the_floor_of_the_decimal_fraction(ten_thousandths, modulus):
    rows = modulus**2
    expected = ten_thousandths * rows // 10_000
    fraction = ten_thousandths / 10_000
    if expected >= 1:
        assert config(modulus, train_fraction=fraction, batch_size=1).num_train == expected
    else:
        with pytest.raises(ConfigError):
            config(modulus, train_fraction=fraction, batch_size=1)


def test_a_split_smaller_than_a_batch_is_refused():
    with pytest.raises(ConfigError) as error:
        config(modulus=97, train_fraction=0.001, batch_size=512)
    assert str(error.value) == (
        "train_fraction=0.001 leaves 9 of 9409 rows of x+y mod 97 to train on, fewer than one batch of 512. "
        "Try --train_fraction=0.3,0.5 or a smaller --batch_size."
    )


@pytest.mark.parametrize("changed", [dict(batch_rule="full"), dict(batch_size=1)])
def test_a_split_with_no_training_row_is_refused(changed):
    with pytest.raises(ConfigError) as error:
        config(train_fraction=0.001, **changed)
    assert str(error.value) == (
        "train_fraction=0.001 leaves 0 of 100 rows of x+y mod 10 to train on. Try --train_fraction=0.3,0.5."
    )


def test_full_batch_asks_for_one_training_row_only():
    assert config(train_fraction=0.01, batch_rule="full", batch_size=512).num_train == 1


def test_a_batch_as_large_as_the_training_set_is_allowed():
    assert config(train_fraction=0.08, batch_size=8).steps_per_epoch == 1


@pytest.mark.parametrize(
    ("changed", "steps_per_epoch", "batch_rows"),
    [
        (dict(train_fraction=0.16), 2, 8),
        (dict(train_fraction=0.17), 3, 8),
        (dict(train_fraction=0.15), 2, 8),
        (dict(train_fraction=0.17, batch_rule="full"), 1, 18),
        (dict(train_fraction=0.15, batch_rule="full"), 1, 15),
    ],
)
def test_an_epoch_has_as_many_steps_as_batches(changed, steps_per_epoch, batch_rows):
    told = config(**changed)
    assert told.steps_per_epoch == steps_per_epoch
    assert told.batch_rows == batch_rows


def test_padded_counts_are_few_close_and_functions_of_the_count_alone():
    counts = range(1, 20_000)
    sizes = [padded(count) for count in counts]
    assert all(count <= size <= count * 9 / 8 for count, size in zip(counts, sizes, strict=True))
    assert sizes == sorted(sizes)
    assert all(padded(size) == size for size in sizes)
    assert [padded(count) for count in range(1, 17)] == list(range(1, 17))
    octave = {size for size in sizes if 1024 < size <= 2048}
    assert len(octave) == 8


@given(st.integers(1, 5_000), st.integers(1, 20_000), st.sampled_from(["every", "log"]))
def test_evaluated_steps_begin_at_zero_end_at_the_budget_and_increase(count, steps, rule):
    at = evaluated_steps(f"{rule}:{count}", steps)
    assert at.dtype == np.int64
    assert at[0] == 0
    assert at[-1] == steps
    assert (np.diff(at) > 0).all()


@pytest.mark.parametrize(
    ("count", "steps", "expected"), [(3, 7, [0, 3, 6, 7]), (3, 6, [0, 3, 6]), (10, 4, [0, 4]), (1, 3, [0, 1, 2, 3])]
)
def test_every_n_evaluates_multiples_and_the_last_step(count, steps, expected):
    assert evaluated_steps(f"every:{count}", steps).tolist() == expected


@pytest.mark.parametrize("count", [1, 10, 60, 300, 1000])
def test_log_grids_of_different_budgets_are_nested(count):
    budgets = [1, 2, 3, 50, 777, 1_000, 5_000, 20_000, 99_999, 1_000_000]
    grids = {steps: evaluated_steps(f"log:{count}", steps) for steps in budgets}
    for shorter in budgets:
        for longer in (steps for steps in budgets if steps > shorter):
            inner = {step for step in grids[shorter] if step < shorter}
            outer = {step for step in grids[longer] if step < shorter}
            assert inner <= outer or outer <= inner, (shorter, longer)


@pytest.mark.parametrize("steps", [10_000, 15_000, 30_000, 65_536, 100_000, 250_000, 500_000, 10**6])
def test_log_grids_have_about_the_number_of_steps_asked_for(steps):
    number = len(evaluated_steps("log:300", steps))
    assert 300 / 1.5 <= number <= 300 * 1.5


def test_log_grids_are_dense_at_first_and_sparse_later():
    at = evaluated_steps("log:100", 10_000)
    assert at[:5].tolist() == [0, 1, 2, 3, 4]
    late = at[(at >= 100) & (at < 10_000)]
    ratios = late[1:] / late[:-1]
    assert ratios.max() < 1.15
    assert ratios.min() > 1.02


@pytest.mark.parametrize("text", ["", "every", "every:", "every:0", "log:-3", "log:2.5", "every:x", "lin:5", "50"])
def test_other_rules_for_evaluated_steps_are_refused(text):
    with pytest.raises(ConfigError, match="Try --eval_at=every:50 or --eval_at=log:300."):
        parse_eval_at(text)


def test_a_name_used_elsewhere_is_answered_with_ours():
    known = {"modulus", "width", "learning_rate", "seed"}
    assert str(unknown_name("setting", "p", known)) == "p is called modulus here. Try --modulus, in Python modulus=."
    assert (
        str(unknown_name("setting", "d_model", known)) == "d_model is called width here. Try --width, in Python width=."
    )
    assert str(unknown_name("setting", "lr", known)).startswith("lr is called learning_rate here.")


def test_a_misspelt_name_is_answered_with_the_nearest_and_all_known():
    message = str(unknown_name("setting", "modulos", {"modulus", "width"}))
    assert message == "There is no setting 'modulos'. Did you mean modulus? Known: modulus, width."
    message = str(unknown_name("setting", "d_model", {"modulus"}))
    assert message == "There is no setting 'd_model'. Known: modulus."


def test_every_near_miss_leads_to_a_name_we_have():
    ours = {"num_seeds", "out", "metrics"}
    for owner in (Config, *TASKS.values(), *MODELS.values(), *OPTIMIZERS.values()):
        ours |= set(settings(owner))
    assert set(NEAR_MISSES.values()) <= ours
    assert not set(NEAR_MISSES) & ours


def test_streams_take_the_run_s_seed_unless_pinned():
    assert config(seed=5).seeds == dict.fromkeys(STREAMS, 5)
    assert config(seed=5, init_seed=0, batch_seed=9).seeds == dict.fromkeys(STREAMS, 5) | dict(init=0, batch=9)


def test_per_run_settings_do_not_shape_the_program():
    one, other = AdamW(learning_rate=0.5, weight_decay=0.1, b2=0.5), AdamW()
    assert one != other
    assert program_part(one) == program_part(other) == AdamW()
    assert run_part(one) == run_part(AdamW()) | dict(learning_rate=0.5, weight_decay=0.1, b2=0.5)


def test_the_role_of_every_setting_is_known_and_its_help_written():
    for owner in (Config, *TASKS.values(), *MODELS.values(), *OPTIMIZERS.values()):
        for field in settings(owner).values():
            assert field.metadata["role"] in (PROGRAM, RUN, HOST)
            assert field.metadata["kind"] in (int, float, bool, str)
            assert field.metadata["help"]


def test_a_setting_that_a_program_leaves_out_makes_two_programs_without_it_and_with_it():
    parts = {program_part(AdamW(clip_norm=value)) for value in (0.0, 0.5, 2.0)}
    assert parts == {AdamW(), AdamW(clip_norm=1.0)}


def test_the_training_rows_are_a_fraction_or_a_count():
    assert config(train_rows=37).num_train == 37
    assert config(train_rows=37, train_fraction=0.9).num_train == 37
    mixture = Mixture(modulus=11, second_rows=30)
    assert config(task=mixture, train_rows=50).part_rows == (50, 30)
    assert config(task=mixture, train_rows=50).num_train == 80
    assert config(task=mixture, train_fraction=0.5).part_rows == (60, 30)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(train_rows=101), "train_rows=101 is out of range: x+y mod 10 has 100 rows. Try --train_rows=50."),
        (
            dict(train_rows=100),
            "train_rows=100 leaves 100 of 100 rows of x+y mod 10 to train on, none to validate on. "
            "Try --train_fraction=0.3,0.5.",
        ),
        (
            dict(outliers=51),
            "outliers=51 is out of range: train_fraction=0.5 leaves 50 of 100 rows of x+y mod 10 to train on. "
            "Try fewer outliers.",
        ),
        (
            dict(batch_rule="stream"),
            "batch_rule=stream needs a task that draws new rows without end, and x+y mod 10 is a finite table. "
            "Try --batch_rule=shuffled, or --task=digits.",
        ),
        (
            dict(task=Mixture(modulus=10, second_rows=5), train_fraction=1.0),
            "train_fraction=1.0 leaves 105 of 200 rows of x+y and random labels mod 10 to train on, none to "
            "validate on. Try --train_fraction=0.3,0.5.",
        ),
        (dict(metrics=[3]), "metrics=[3] is no list of names. Try metrics=['tensor_norms'] or {'mine': function}."),
    ],
)
def test_a_combination_that_cannot_be_run_is_refused(changed, message):
    with pytest.raises(ConfigError) as error:
        config(**changed)
    assert str(error.value) == message


def test_where_every_label_is_random_all_rows_may_train():
    task = Modular("random", 10)
    assert config(task=Mixture("random", "random_symmetric", 10, second_rows=100), train_fraction=1.0).num_train == 200
    assert config(task=task, train_fraction=1.0).num_train == config(task=task, train_rows=100).num_train == 100


def test_a_stream_has_no_training_rows_and_no_epochs():
    told = config(task=Digits(digits=2), batch_rule="stream", batch_size=64)
    assert (told.num_train, told.batch_rows, told.steps_per_epoch) == (0, 64, 1)


@pytest.mark.parametrize(
    ("rows", "batch_size", "min_batches", "expected"),
    [(60, 8, None, 8), (60, 8, 2, 8), (60, 40, 2, 30), (61, 40, 2, 31), (60, 100, 1, 60), (3, 512, 2, 2), (1, 9, 2, 1)],
)
def test_batches_shrink_so_that_an_epoch_has_as_many_as_asked_for(rows, batch_size, min_batches, expected):
    told = config(train_rows=rows, batch_size=batch_size, min_batches=min_batches)
    assert told.batch_rows == expected
    assert told.steps_per_epoch == -(-rows // expected)
