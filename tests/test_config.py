import dataclasses
import shlex
import warnings
from decimal import Decimal
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax.cli.flags import SWEEP_FLAGS, SWEEP_SWITCHES, all_settings, parse
from grokjax.config import (
    HOST,
    OTHER_NAMES,
    OTHER_VALUES,
    PROGRAM,
    RUN,
    SENTENCES,
    STREAMS,
    VALUE_SENTENCES,
    Config,
    ConfigError,
    check_settings,
    evaluated_steps,
    folded,
    other_names,
    padded,
    parse_eval_at,
    program_part,
    run_part,
    setting,
    settings,
    snapped,
    unknown_name,
)
from grokjax.models import MODELS, Decoder
from grokjax.optimizers import OPTIMIZERS, Adam, AdamW, RmsProp, Sgd, SgdMomentum
from grokjax.sweeps.components import COMPONENTS
from grokjax.tasks import TASKS, Digits, Mixture, Modular


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
        (Decoder, "norm", "Posts", "norm=Posts is not known. Did you mean post? Known: post, pre, none."),
        (Decoder, "bias", "some", "bias=some is not known. Known: none, mlp, all."),
        (
            Decoder,
            "positions",
            "learnd",
            "positions=learnd is not known. Did you mean learned? Known: sinusoidal, learned.",
        ),
        (
            Decoder,
            "init_scheme",
            "torchpy",
            "init_scheme=torchpy is not known. Did you mean pytorch? Known: pytorch, nanda, flax, normal.",
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
        "Try --train_fraction=0.06 or --batch_size=9."
    )


@pytest.mark.parametrize("changed", [dict(batch_rule="full"), dict(batch_size=1)])
def test_a_split_with_no_training_row_is_refused(changed):
    with pytest.raises(ConfigError) as error:
        config(train_fraction=0.001, **changed)
    assert str(error.value) == (
        "train_fraction=0.001 leaves 0 of 100 rows of x+y mod 10 to train on. Try --train_fraction=0.01."
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
    assert str(unknown_name("setting", "D-Model", known)).startswith("D-Model is called width here.")


def test_a_misspelt_name_is_answered_with_the_nearest_and_all_known_if_they_are_few():
    message = str(unknown_name("setting", "modulos", {"modulus", "width"}))
    assert message == "There is no setting 'modulos'. Did you mean modulus? Known: modulus, width."
    message = str(unknown_name("setting", "d_model", {"modulus"}))
    assert message == "There is no setting 'd_model'. Known: modulus."
    many = {f"name_{i}" for i in range(50)} | {"modulus"}
    assert str(unknown_name("flag", "modulos", many)) == (
        "There is no flag 'modulos'. Did you mean modulus? --help lists all."
    )
    assert str(unknown_name("flag", "ü", many)) == "There is no flag 'ü'. --help lists all."


OURS = {*all_settings(), *SWEEP_FLAGS, *SWEEP_SWITCHES, *COMPONENTS}
VALUES_OF = {name: field.metadata["names"] for name, field in all_settings().items()} | COMPONENTS


def test_every_name_of_another_project_leads_to_a_name_we_have_and_has_one_answer():
    assert set(OTHER_NAMES.values()) <= OURS
    assert not {*OTHER_NAMES, *SENTENCES} & OURS
    for table in ([other_names.SAME, other_names.SENTENCES], *tables_of_values()):
        names = [folded(name) for part in table for others in part.values() for name in others.split()]
        assert len(set(names)) == len(names)


def tables_of_values():
    """The tables of the values of each setting."""
    for name in {*other_names.VALUES, *other_names.VALUE_SENTENCES}:
        yield other_names.VALUES.get(name, {}), other_names.VALUE_SENTENCES.get(name, {})


def test_every_value_of_another_project_leads_to_a_value_we_have():
    for name, values in OTHER_VALUES.items():
        for other, ours in values.items():
            if name == "operation":
                assert Modular(ours).operation == ours
            else:
                assert ours in VALUES_OF[name]
            assert other not in map(folded, VALUES_OF[name])


@pytest.mark.parametrize(
    "text", sorted({*SENTENCES.values(), *(s for v in VALUE_SENTENCES.values() for s in v.values())})
)
def test_what_a_sentence_suggests_is_a_command_line_that_is_read(text):
    suggested = [word.rstrip(".,;") for word in shlex.split(text.replace("'s ", "s ")) if word.startswith("--")]
    for word in suggested:
        name, equals, _ = word.removeprefix("--").partition("=")
        if not equals and name in OURS - {*SWEEP_SWITCHES, "orthogonal_gradient"}:
            continue  # which names a flag and suggests nothing
        if ".py:" not in word:
            assert parse(["sweep", word])


def test_names_that_differ_in_case_and_hyphens_alone_are_one_name_and_no_two_of_ours_do():
    assert Decoder(norm="PRE").norm == "pre" and AdamW(decay="Zero").decay == "zero"
    assert config(loss="Cross-Entropy", batch_rule="FULL").loss == "cross_entropy"
    assert Modular("Multiply").operation == "multiply"
    assert Mixture("ADD", "Random-Symmetric").second_operation == "random_symmetric"
    for names in (OURS, *(names for names in VALUES_OF.values() if names)):
        assert len(set(map(folded, names))) == len(set(names))


@pytest.mark.parametrize("value", [0.3, 1 / 3, 2**-20, 3 / 4096, 0.123456789, 1e-30, 12345678.9, 5e-324, 0.0, -0.0])
def test_a_number_that_is_no_short_decimal_but_for_rounding_stays_what_it_is(value):
    assert repr(snapped(value)) == repr(value)


@given(st.integers(1, 10**8 - 1), st.integers(-30, 30))
def test_a_number_of_eight_digits_stays_and_what_rounding_makes_of_it_is_read_as_it(digits, power):
    value = float(f"{digits}e{power}")
    assert snapped(value) == value
    for factor in (1 + 2**-52, 1 - 2**-50, 1 + 2**-44):
        assert snapped(value * factor) == value


@pytest.mark.parametrize("axis", [np.arange(0.3, 0.81, 0.05), np.linspace(0.3, 0.8, 11), np.linspace(0, 1, 11)[3:9]])
def test_axes_of_numpy_are_read_as_the_decimals_that_are_meant(axis):
    for dtype in (np.float64, np.float32):
        for value in axis.astype(dtype):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read = config(modulus=97, train_fraction=value).train_fraction
            assert read == round(float(value), 4) and len(repr(read)) <= 4


def test_a_configuration_warns_of_a_number_that_it_reads_as_another():
    with pytest.warns(UserWarning, match="^train_fraction=0.44999999999999996 is read as 0.45.$"):
        made = config(modulus=20, train_fraction=0.44999999999999996)
    assert made.num_train == 180 and made == config(modulus=20, train_fraction=0.45)
    with pytest.warns(UserWarning, match="weight_decay=0.30000000000000004 is read as 0.3"):
        assert AdamW(weight_decay=0.1 + 0.2).weight_decay == 0.3
    with pytest.warns(UserWarning, match="steps=99.99999999999999 is read as 100"):
        assert config(steps=99.99999999999999).steps == 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config(train_fraction=1 / 3, init_scale=np.float32(0.5))


@pytest.mark.parametrize(
    "text", ["1e5000", "1e-5000", "1e999999999", "-1e999999999", "1e99999999999999999999", "9" * 5000]
)
@pytest.mark.parametrize("name", ["seed", "steps", "init_scale", "train_fraction", "stop_loss"])
def test_a_number_beyond_all_floats_is_refused_at_once(name, text):
    for value in (text, Decimal(text) if len(text) < 13 else text):
        with pytest.raises(ConfigError, match=f"^{name}=(-?[19]|inf)"):
            config(**{name: value})


@pytest.mark.parametrize("value", [1e-46, 1e-39, 1e39, "1e-999", "1e999", "1e-350", "1e-50"])
@pytest.mark.parametrize(("make", "name"), [(AdamW, "learning_rate"), (config, "init_scale")])
def test_a_number_that_float32_does_not_hold_is_refused(make, name, value):
    with pytest.raises(ConfigError, match=f"^{name}=.* is out of range"):
        make(**{name: value})


@pytest.mark.parametrize("text", ["every:" + "9" * 5000, "log:99999999999", "every:1000000001"])
def test_a_rule_for_evaluated_steps_with_a_huge_number_is_refused(text):
    with pytest.raises(ConfigError, match="Try --eval_at=every:50"):
        config(eval_at=text)


TASKS_TO_SPLIT = st.one_of(
    st.builds(Modular, modulus=st.integers(2, 30)),
    st.builds(Mixture, modulus=st.sampled_from([3, 5, 11]), second_rows=st.integers(0, 9)),
    st.builds(Modular, operation=st.just("random"), modulus=st.integers(2, 8)),
)


@hypothesis.settings(deadline=None)
@given(
    TASKS_TO_SPLIT,
    st.one_of(
        st.fixed_dictionaries({"train_rows": st.integers(1, 1000)}),
        st.fixed_dictionaries({"train_fraction": st.integers(1, 100).map(lambda n: n / 100)}),
    ),
    st.integers(1, 700),
    st.sampled_from(["shuffled", "full", "fixed", "stream"]),
    st.sampled_from([None, 1, 3]),
    st.integers(0, 100),
)
def test_what_a_refused_split_suggests_is_accepted(task, split, batch_size, rule, min_batches, outliers):
    given_values = split | dict(
        task=task, batch_size=batch_size, batch_rule=rule, min_batches=min_batches, outliers=outliers
    )
    try:
        config(**given_values)
        return
    except ConfigError as error:
        said = str(error)
    for flag in said[said.index("Try") :].removesuffix(".").split():
        if flag.startswith("--") and flag != "--task=digits":
            name, _, value = flag.removeprefix("--").rstrip(",").partition("=")
            changed = config(**(given_values | {name: value}))
            assert changed.num_train


@hypothesis.settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict(
            seed=st.integers(-1, 5),
            train_fraction=st.sampled_from([0.0, 0.01, 0.3, "0.5", 1.0]),
            epochs=st.sampled_from([None, 3]),
            steps=st.sampled_from([0, 5, 70]),
            task=st.sampled_from([Modular(modulus=5), Modular(modulus=11), "add"]),
            optimizer=st.sampled_from([AdamW(weight_decay=0.5), Sgd()]),
            eval_at=st.sampled_from(["every:7", "log:9", "x"]),
            batch_rule=st.sampled_from(["full", "stream"]),
            dropout=st.sampled_from([0.1, 1.0]),
        ),
    )
)
def test_a_configuration_with_values_replaced_is_a_new_one_with_these_values(changes):
    def made(make):
        try:
            return make()
        except ConfigError as error:
            return str(error)

    base = config()
    one, other = made(lambda: base.replaced(changes)), made(lambda: dataclasses.replace(base, **changes))
    assert one == other or isinstance(one, str) and isinstance(other, str)  # of several faults, either may be told


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
            "Try --train_rows=50.",
        ),
        (
            dict(outliers=51),
            "outliers=51 is out of range: train_fraction=0.5 leaves 50 of 100 rows of x+y mod 10 to train on. "
            "Try --outliers=50 or --train_fraction=0.51.",
        ),
        (
            dict(batch_rule="stream"),
            "batch_rule=stream needs a task that draws new rows without end, and x+y mod 10 is a finite table. "
            "Try --batch_rule=shuffled, or --task=digits.",
        ),
        (
            dict(task=Mixture(modulus=10, second_rows=5), train_fraction=1.0),
            "train_fraction=1.0 leaves 105 of 200 rows of x+y and random labels mod 10 to train on, none to "
            "validate on. Try --train_fraction=0.5.",
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
