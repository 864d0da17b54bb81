"""The command line: what it reads, and one sentence for everything it refuses."""

import dataclasses
import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from fuzz import fuzz
from tiny import DECODER, tiny, train

import grokjax as gj
from grokjax.cli.flags import all_settings, parse
from grokjax.cli.training import sweep_command as main
from grokjax.cli.values import parse_values, parse_variants
from grokjax.sweeps import devices, forecast, progress
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.training import Training

TINY = [
    "--modulus=11",
    "--num_layers=1",
    "--width=16",
    "--num_heads=2",
    "--batch_size=32",
    "--steps=20",
    "--num_devices=1",
]


def refusal(capsys, *arguments):
    """What the command line says, having refused these flags."""
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *arguments])
    captured = capsys.readouterr()
    assert ended.value.code == 1 and captured.out == "" and captured.err.startswith("sweep: ")
    assert len(captured.err.strip().splitlines()) == 1
    return captured.err.removeprefix("sweep: ").strip()


BAD = {
    "--operation=plus": "operation=plus is called add here. Try --operation=add.",
    "--operation=*": "operation=* is called multiply here. Try --operation=multiply.",
    "--operation=minus --operands=3": "operation=subtract has two operands, not operands=3. Try --operation=x1-x2-x3.",
    "--operation=sum_of_squares": "operation=sum_of_squares is called x^2+y^2 here. Try --operation='x^2+y^2'.",
    "--operation=adde": "operation=adde is not known. Did you mean add? Known: add, subtract, multiply, divide, "
    "divide_if_odd, random, "
    "random_symmetric, or a formula such as x^2+3*y.",
    "--model=decodr": "There is no model 'decodr'. Did you mean decoder? Known: decoder, encoder_decoder, lstm, mlp, ",
    "--optimizer=adamww": "There is no optimizer 'adamww'. Did you mean adamw? Known: adam, adamw, muon, rmsprop, ",
    "--task=moduler": "There is no task 'moduler'. Did you mean modular? Known: digits, mixture, modular, ",
    "--operation=divide --modulus=96": "modulus=96 is not prime (2 divides it), and divide (x/y) needs an inverse of "
    "every number but 0. Try --modulus=89.",
    "--train_fraction=0": "train_fraction=0.0 is out of range: it must be greater than 0.0. The default is 0.5.",
    "--train_fraction=1.5": "train_fraction=1.5 is out of range: it must be at most 1.0. The default is 0.5.",
    "--train_fraction=0.001": "train_fraction=0.001 leaves 9 of 9409 rows of x+y mod 97 to train on, fewer than one "
    "batch of 512. Try --train_fraction=0.06 or --batch_size=9.",
    "--modulus=2 --batch_size=1 --train_fraction=0.2": "train_fraction=0.2 leaves 0 of 4 rows of x+y mod 2 to train "
    "on. Try --train_fraction=0.25.",
    "--learning_rate=-1": "learning_rate=-1.0 is out of range: it must be at least 0.0. The default is 0.001.",
    "--learning_rate=nan": "learning_rate=nan is not a finite number. The default is 0.001.",
    "--weight_decay=inf": "weight_decay=inf is not a finite number. The default is 1.0.",
    "--b1=1": "b1=1.0 is out of range: it must be less than 1.0. The default is 0.9.",
    "--model=mlp --dropout=0.1": "dropout=0.1 has no place in the model Mlp, whose __call__ takes none. "
    "Try --dropout=0.",
    "--num_heads=3": "num_heads=3 does not divide width=128. Try --num_heads=1,2,4.",
    "--steps=0": "steps=0 is out of range: it must be at least 1. The default is 10000.",
    "--steps=1.5": "steps=1.5 is not a whole number.",
    "--seed=-1": "seed=-1 is out of range: it must be at least 0. The default is 0.",
    "--num_seeds=0": "num_seeds=0 is not a number of seeds. It must be a whole number of at least 1.",
    "--num_seeds=1e18": "num_seeds=1000000000000000000 is out of range: it must be at most 1,000,000. Try fewer.",
    "--num_layers=1e9": "num_layers=1000000000 is out of range: it must be at most 128. The default is 2.",
    "--width=1e18": "width=1000000000000000000 is out of range: it must be at most 10000000. The default is 128.",
    "--snapshots=-1": "snapshots=-1 is out of range: it must be at least 0. The default is 0.",
    "--checkpoint_minutes=0": "checkpoint_minutes=0.0 is out of range: it must be greater than 0.0.",
    "--checkpoint_minutes=soon": "checkpoint_minutes=soon is not a number.",
    "--process_id=1": "process_id and num_processes belong together. Give both, or neither.",
    "--process_id=2 --num_processes=2": "process_id=2 of num_processes=2 is out of range: processes are counted from "
    "0, and there is at least one.",
    "--num_seeds=2 --seed=3": "num_seeds and seed are both given. num_seeds=5 is short for seed=0:4:1; give one of "
    "them.",
    "--seed=": "seed= has an empty value. Try --seed=a,b,c, without spare commas.",
    "--seed=1,1": "seed=1 is given twice. Each value of an axis may stand once.",
    "--train_fraction=0.3:0.8": "train_fraction=0.3:0.8 is not a range: it must be start:stop:step, rising. Try "
    "--train_fraction=0.3:0.8:0.05.",
    "--train_fraction=0.8:0.3:0.1": "train_fraction=0.8:0.3:0.1 is not a range: it must be start:stop:step, rising. "
    "Try --train_fraction=0.3:0.8:0.05.",
    "--train_fraction=0.3:x:0.1": "train_fraction=0.3:x:0.1 cannot be read: 'x' is not a number.",
    "--seed=0:1e9:1": "seed=0:1e9:1 has 1,000,000,001 values, more than 1,000,000. Try a larger step.",
    "--eval_at=50": "eval_at=50 is not a rule for evaluated steps. Try --eval_at=every:50 or --eval_at=log:300.",
    "--lr=1e-3": "lr is called learning_rate here. Try --learning_rate, in Python learning_rate=.",
    "--p=97": "p is called modulus here. Try --modulus, in Python modulus=.",
    "--alpha=0.98": "There is no flag 'alpha'. alpha is train_fraction here where it is the share of the table that "
    "trains (PKU, Huang et al.), grokfast_alpha where it is the decay of Grokfast's average, ",
    "--random_seed=42": "random_seed is called seed here. Try --seed, in Python seed=.",
    "--seeds=3": "There is no flag 'seeds'. The random seed is --seed. Try --num_seeds=3 for seeds 0, 1 and 2, or "
    "--seed=0,1,2.",
    "--lamb=2": "lamb is called grokfast_lamb here.",
    "--filter=ema": "filter is called grokfast here.",
    "--loss_function=stablemax": "loss_function is called loss here.",
    "--adam_epsilon=1e-30": "adam_epsilon is called eps here.",
    "--max_lr=1e-3": "max_lr is called learning_rate here.",
    "--log_frequency=50": "There is no flag 'log_frequency'. Evaluated steps are set by eval_at: --eval_at=every:50 ",
    "--stopping_thresh=-1": "There is no flag 'stopping_thresh'. A run ends early at a validation accuracy, ",
    "--wandb": "There is no flag 'wandb'. A sweep writes all curves to one NPZ, --out=results/sweep.npz. ",
    "--schedule=cosine": "There is no flag 'schedule'. Of learning-rate schedules only a linear warm-up has a name, ",
    "--optimizer=lion": "There is no optimizer 'lion'. Our optimizers do not have it. Write an optax chain with ",
    "--model=Transformer": "model=Transformer is called decoder here. Try --model=decoder.",
    "--modulus=20 --batch_size=256 --train_fraction=0.3,0.5": "train_fraction=0.3 leaves 120 of 400 rows of x+y mod 20 "
    "to train on, fewer than one batch of 256. Try --train_fraction=0.64 or --batch_size=120.",
    "--seed=0:1e5000:1": "seed=0:1e5000:1 is out of range: 1e5000 is too large a number here.",
    "--seed=0:1e300:1": "seed=0:1e300:1 has about 1e+300 values, more than 1,000,000. Try a larger step.",
    "--seed=0:1:1e-5000": "seed=0:1:1e-5000 is out of range: 1e-5000 is too small a number here.",
    "--seed=0:1:1e-300": "seed=0:1:1e-300 has about 1e+300 values, more than 1,000,000. Try a larger step.",
    "--seed=1e999999999": "seed=1e999999999 is out of range: 1e999999999 is too large a number here.",
    "--learning_rate=1e-999": "learning_rate=1e-999 is out of range: 1e-999 is too small a number here.",
    "--learning_rate=1e-340": "learning_rate=1e-340 is out of range: runs compute in float32, whose numbers are 0 or "
    "of a size from 1.2e-38 to 3.4e+38.",
    "--learning_rate=1e-46": "learning_rate=1e-46 is out of range: runs compute in float32, ",
    "--learning_rate=1e999": "learning_rate=1e999 is out of range: 1e999 is too large a number here.",
    "--learning_rat=1": "There is no flag 'learning_rat'. Did you mean learning_rate? --help lists all.",
    f"--{'a' * 5000}=1": f"There is no flag '{'a' * 40}...'. --help lists all.",
    "--ü=1": "There is no flag 'ü'. --help lists all.",
    "--momentum=0.9": "momentum=0.9 is a setting of the optimizer sgd_momentum, rmsprop, muon, but the optimizer is "
    "adamw. Leave it out, or try --optimizer=sgd_momentum; where several are compared, --variant gives each its own.",
    "--zip=seed,steps --seed=0,1": "zip=seed,steps names steps, which has no list of values. The axes are seed.",
    "--zip=seed,steps --seed=0,1 --steps=1,2,3": "zip=seed,steps needs as many values of each, but seed has 2, steps "
    "has 3.",
    "--steps=5 --epochs=5": "steps and epochs are both given, and either is the budget. Leave one out.",
    "--epochs=0": "epochs=0 is out of range: it must be at least 1.",
    "--epochs=900000000": "steps=9000000000 is out of range: it must be at most 1000000000. The default is 10000.",
    "--task=digits --batch_rule=stream --epochs=5": "epochs=5 has no meaning with batch_rule=stream, which draws new "
    "rows without end. Try --steps=5.",
    "--num_epochs=5": "num_epochs is called epochs here. Try --epochs, in Python epochs=.",
    "--seed=1,1 --width=8,8 --zip=seed,width": "seed,width=1,8 is given twice. Each value of an axis may stand once.",
    "--variant=a": "variant=a cannot be read. Try 'a: weight_decay=0; b: weight_decay=1'.",
    "--variant=a:lr=1": "lr is called learning_rate here. Try --learning_rate, in Python learning_rate=.",
    "--variant=a:b1=0.5 --b1=0.8,0.9": "b1 is set by two axes, ",
    "--variant=a:b1=0.5 --b1=0.8": "b1 is given once for all runs and again by variant. Give it in one place.",
    "learning_rate=1": "'learning_rate=1' is not a flag. Did you mean --learning_rate=1? --help lists them.",
    "lr=1": "'lr=1' is not a flag. Did you mean --learning_rate=1? --help lists them.",
    "--lanes=0": "lanes=0 is out of range: it must be at least 1.",
    "--num_devices=99": f"num_devices=99 is out of range: this process has {devices.cores()}.",
    "--modulus=40009": "The table of x+y mod 40009 has 1,600,720,081 rows and needs about 190.8 GiB of memory; ",
    "--width=4000000": "A device would need about ",
    "--width=4000000 --dry_run": "A device would need about ",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_refused_in_one_sentence_and_nothing_is_written(capsys, tmp_path, arguments):
    said = refusal(capsys, *arguments.split(), f"--out={tmp_path / 'a.npz'}")
    assert said.startswith(BAD[arguments])
    assert not list(tmp_path.iterdir())


def test_of_hundreds_of_random_command_lines_none_raises_hangs_or_leaves_a_file():
    found = fuzz(count=300, seed=2)
    assert found["wrong"] == [] and found["refused"] > 200 and found["accepted"] > 5


def test_a_missing_folder_a_file_of_another_kind_and_a_folder_are_refused_as_out(capsys, tmp_path):
    assert "lies in a folder that does not exist" in refusal(capsys, f"--out={tmp_path / 'no' / 'a.npz'}")
    assert "does not end in .npz" in refusal(capsys, f"--out={tmp_path / 'a.csv'}")
    (tmp_path / "b.npz").mkdir()
    assert "is a folder" in refusal(capsys, f"--out={tmp_path / 'b.npz'}")
    assert "There is no --out" in refusal(capsys)


def test_a_folder_in_which_no_file_can_be_made_is_refused(capsys):
    assert "cannot be written to" in refusal(capsys, "--out=/proc/a.npz")


def test_a_corrupt_result_is_refused_and_left_as_it_is(capsys, tmp_path):
    out = tmp_path / "a.npz"
    train(out=out, steps=20)
    whole = out.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2], whole[:900] + b"?" + whole[901:]):
        out.write_bytes(broken)
        assert str(out) in refusal(capsys, *TINY, f"--out={out}")
        assert out.read_bytes() == broken


def test_a_different_sweep_is_refused_naming_what_differs(capsys, tmp_path):
    out = tmp_path / "a.npz"
    train(out=out, seed=range(3), learning_rate=1e-3)
    before = out.read_bytes()
    said = refusal(
        capsys, *TINY, "--seed=0,1", "--steps=60", "--eval_at=every:20", "--learning_rate=1e-2", f"--out={out}"
    )
    assert "learning_rate is 0.001 there and 0.01 here" in said and "seed=2" in said and "--overwrite" in said
    assert out.read_bytes() == before


def test_too_little_memory_is_told_before_training_and_by_a_dry_run(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "memory", lambda device: 50_000)
    for more in ([], ["--dry_run"]):
        said = refusal(capsys, *TINY, f"--out={tmp_path / 'a.npz'}", *more)
        assert said.startswith("A device would need about ") and "and has 48.8 KiB" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("3", int, 3),
        ("1e4", int, 10_000),
        ("1,2", int, [1, 2]),
        ("0:4:2", int, [0, 2, 4]),
        ("0:5:2", int, [0, 2, 4]),
        ("7:7:1", int, [7]),
        ("0.3:0.5:0.05", float, [0.3, 0.35, 0.4, 0.45, 0.5]),
        ("0,1e-3", float, [0.0, 1e-3]),
        ("a b =", str, "a b ="),
        ("every:50,log:9", str, ["every:50", "log:9"]),
    ],
)
def test_values_are_one_a_list_or_an_inclusive_range(text, kind, values):
    assert parse_values("name", text, kind) == values


@pytest.mark.parametrize(
    "argument",
    [
        "--variant=task={file}:make : seed=1",
        "--variant=a model={file}:make; b: seed=1",
        "--variant=task={file}:make: seed=1; b: seed=2",
        "--out=task={file}:make",
        "--operation=task={file}:make",
        "--eval_at=optimizer={file}:make",
        "--zip=model={file}:make",
        "--metrics=weight_norm,model={file}:make",
        "--nonsense=task={file}:make",
        "task={file}:make",
    ],
)
def test_what_is_not_given_as_a_task_model_or_optimizer_is_never_run(capsys, tmp_path, argument):
    ran, file = tmp_path / "ran", tmp_path / "side.py"
    file.write_text(f"open({str(ran)!r}, 'w')\ndef make():\n    open({str(ran)!r}, 'w')\n")
    refusal(capsys, argument.format(file=file), *([] if "out=" in argument else [f"--out={tmp_path / 'a.npz'}"]))
    assert not ran.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--optimizer={file}:make", "--lamb=3"],
        ["--lamb", "3", "--optimizer", "{file}:make"],
        ["--Lamb=3", "--optimizer={file}:make,adamw"],
        ["--lamb=3", "--variant=mine: optimizer={file}:make; a: optimizer='{file}:make' seed=1"],
    ],
)
def test_settings_of_a_file_are_flags_wherever_the_file_is_named(tmp_path, arguments):
    file = tmp_path / "mine.py"
    file.write_text(
        "import grokjax as gj, optax\n"
        "make = gj.optimizers.custom(lambda h: optax.adamw(h.learning_rate, weight_decay=h.lamb), lamb=2.0)\n"
    )
    assert parse(["x", *(argument.format(file=file) for argument in arguments)]).values["lamb"] == 3.0


def test_names_are_read_in_any_case_and_with_hyphens():
    given = parse(["x", "--Learning-Rate=1e-3,1e-2", "--BATCH-SIZE", "64", "--no-progress", "--Dry-Run", "--ORDERED"])
    assert given.values == dict(learning_rate=[1e-3, 1e-2], batch_size=64, ordered="true")
    assert given.options == dict(progress=False, dry_run=True)
    assert parse(["x", "--PRESET=Paper"], presets=True).preset == "Paper"
    assert parse(["x", "--variant=a: Weight-Decay=1"]).values["variant"] == {"a": dict(weight_decay=1.0)}


def test_a_name_in_another_case_makes_the_same_runs_and_the_axis_has_our_name():
    def runs(**values):
        grid = make_grid(tiny(DECODER), values)
        return [grid.axes[0].labels[0], *(run.run_id for run in grid.runs())]

    assert runs(optimizer=["AdamW", "SGD"]) == runs(optimizer=["adamw", "sgd"])
    assert runs(norm=["Pre", "NONE"]) == runs(norm=["pre", "none"])
    assert runs(operation=["Add", "SUBTRACT"]) == runs(operation=["add", "subtract"])
    assert runs(variant={"a": dict(decay="Init")}) == runs(variant={"a": dict(decay="init")})


def test_axes_of_numpy_make_the_runs_of_the_command_line_and_this_is_said_once(capsys, monkeypatch):
    axis = np.arange(0.3, 0.61, 0.05)
    assert axis[3] == 0.44999999999999996
    base = dataclasses.replace(tiny(), task=gj.tasks.modular("add", 20))
    ours = parse(["x", "--train_fraction=0.3:0.6:0.05"]).values
    grids = [
        make_grid(base, values) for values in (dict(train_fraction=axis, seed=range(9)), ours | dict(seed=range(9)))
    ]
    assert len({tuple(run.run_id for run in grid.runs()) for grid in grids}) == 1
    assert [run.config.num_train for run in grids[0].runs()][27] == 180
    assert grids[1].notes == [] and grids[0].notes[0].startswith(
        "train_fraction=0.39999999999999997,0.44999999999999996,0.49999999999999994 are read as 0.4,0.45,0.5, and "
    )
    assert grids[0].axes[0].labels == ((0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),)
    with monkeypatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr(forecast, "make", mock.Mock())
        patched.setattr(Training, "train", mock.Mock(side_effect=InterruptedError))
        train(base, train_fraction=axis[2:4], seed=range(3))
    assert capsys.readouterr().err.count("=0.39999999999999997,0.44999999999999996 are read as 0.4,0.45.\n") == 1
    assert make_grid(base, dict(weight_decay=1 / 3)).fixed == {"weight_decay": 1 / 3}
    told = make_grid(base, dict(variant={"a": dict(weight_decay=0.1 + 0.2), "b": dict(weight_decay=0.0)}))
    assert told.notes == ["weight_decay=0.30000000000000004 is read as 0.3."]
    assert told.axes[0].labels[1] == (0.3, 0.0)


def test_a_grid_of_many_runs_tells_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "COUNT_SECONDS", 0.0)
    monkeypatch.setattr(forecast, "make", mock.Mock(side_effect=InterruptedError))
    with pytest.raises(InterruptedError):
        gj.sweep(tiny(), seed=range(30), num_devices=1)
    told = capsys.readouterr().err
    for doing in ("laying out", "identifying", "grouping"):
        assert f"{doing} runs: 30 of 30\n" in told


class Compared(int):
    """A whole number that counts how often it is compared."""

    times = 0
    __hash__ = int.__hash__

    def __eq__(self, other):
        Compared.times += 1
        return int(self) == int(other)


def test_laying_out_an_axis_takes_a_time_that_grows_with_its_length_alone():
    assert make_grid(tiny(), dict(seed=[Compared(i) for i in range(1000)])).shape == (1000,)
    assert Compared.times < 10_000


def test_variants_are_labelled_settings():
    told = parse_variants(
        "Adam 1e-4: optimizer=adam learning_rate=1e-4; lean: tokens='a b =' ordered=1", all_settings()
    )
    assert told == {"Adam 1e-4": dict(optimizer="adam", learning_rate=1e-4), "lean": dict(tokens="a b =", ordered="1")}


def test_axes_come_in_the_order_of_the_command_line():
    given = parse(["sweep", "--weight_decay=0,1", "--num_seeds=2", "--learning_rate=1e-3,1e-2", "--modulus=7"])
    assert list(given.values) == ["weight_decay", "num_seeds", "learning_rate", "modulus"]


def test_help_lists_every_setting_under_its_heading(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for name in (
        "--operation",
        "--num_heads",
        "--learning_rate",
        "--train_fraction",
        "--out",
        "--dry_run",
        "The model:",
    ):
        assert name in told


def test_the_command_trains_and_prints_a_table(capsys, tmp_path):
    out = tmp_path / "a.npz"
    main(["sweep", *TINY, "--num_seeds=2", "--train_fraction=0.4,0.5", f"--out={out}"])
    captured = capsys.readouterr()
    assert "train_fraction" in captured.out and f"Wrote {out} (4 runs)" in captured.err
    assert np.isfinite(gj.load(out).val_loss).all()


def test_help_to_a_reader_that_has_gone_ends_quietly():
    read, write = os.pipe()
    os.close(read)
    code = "from grokjax.cli.training import sweep_command; sweep_command(['sweep.py', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
