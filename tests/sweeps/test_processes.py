"""Several processes that train one grid through a shared folder: the same numbers, an even share, nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_checkpoints import interrupted_after
from tiny import run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.sweeps import engine, shares
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.lock import owned
from grokjax.sweeps.processes import Place, find_place

GRID = dict(seed=range(5), steps=200)
TWO = dict(num_processes=2, **GRID)


@pytest.fixture(scope="module")
def alone():
    return train(**GRID)


def test_two_processes_give_what_one_gives_to_the_bit(tmp_path, alone, capsys):
    out = tmp_path / "a.npz"
    assert train(out=out, process_id=1, **TWO) is None
    assert not out.exists() and gj.load(tmp_path / "a.parts" / "1-of-2.npz").sizes["run"] in (2, 3)
    grid = train(out=out, process_id=0, **TWO)
    assert same_bits(grid, alone) and (grid.status == "finished").all() and grid.identical(gj.load(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.params"]
    meta = gj.results.read(out)[1]
    assert meta["run_steps"] == 1000 and meta["processes"] == 2 and meta["versions"]["grokjax"] == gj.__version__
    assert gj.params(out, seed=3).keys() == gj.params(out, seed=4).keys()
    assert train(out=out, process_id=1, **TWO).identical(grid), "all is there, whoever asks"
    assert same_bits(train(out=out, seed=range(6), steps=200).isel(seed=slice(0, 5)), alone)


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_is_started_again_goes_on_with_its_share(tmp_path, monkeypatch, alone, number):
    out = tmp_path / "a.npz"
    said = interrupted_after(6, monkeypatch, out=out, process_id=number, **TWO)
    assert "the same command continues" in said
    part = tmp_path / "a.parts" / f"{number}-of-2.npz"
    first, runs = run_steps(part), gj.load(part).sizes["run"]
    train(out=out, process_id=1, **TWO)
    if number:
        assert first + run_steps(part) == 200 * runs
    grid = train(out=out, process_id=0, **TWO)
    assert same_bits(grid, alone) and not part.exists()


def test_nobody_waits_for_others_and_whoever_ends_last_joins(tmp_path, alone, capsys):
    out = tmp_path / "a.npz"
    assert gj.sweep(tiny(), out=out, process_id=0, num_devices=1, **TWO) is None
    said = capsys.readouterr().err
    assert "Process 0 of 2 has done its share; " in said and "of 5 runs have not ended yet. Whoever ends last" in said
    assert train(out=out, process_id=0, **TWO) is None, "its share is there, and no more"
    grid = gj.sweep(tiny(), out=out, process_id=1, num_devices=1, **TWO)
    assert same_bits(grid, alone) and f"Wrote {out} (5 runs) from 2 processes." in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.params"]


def test_while_another_process_joins_the_parts_they_are_left_to_it(tmp_path, alone):
    out = tmp_path / "a.npz"
    train(out=out, process_id=0, **TWO)
    with owned(out):
        assert train(out=out, process_id=1, **TWO) is None
    assert not out.exists() and same_bits(train(out=out, process_id=1, **TWO), alone)


def test_a_process_leaves_alone_what_another_is_just_writing(tmp_path):
    (tmp_path / "a.params").mkdir()
    unfinished = tmp_path / "a.params" / ".1234.npz.0123abcd.tmp"
    unfinished.write_bytes(b"half")
    train(out=tmp_path / "a.npz", process_id=1, **TWO)
    assert unfinished.exists()
    train(out=tmp_path / "a.npz", process_id=0, **TWO)
    assert not unfinished.exists(), "once all have ended nobody writes"


def test_a_sweep_that_one_process_began_is_taken_up_by_two(tmp_path, monkeypatch, alone):
    out = tmp_path / "a.npz"
    interrupted_after(15, monkeypatch, out=out, **GRID)
    first = run_steps(out)
    train(out=out, process_id=1, **TWO)
    grid = train(out=out, process_id=0, **TWO)
    meta = gj.results.read(out)[1]
    assert same_bits(grid, alone) and meta["run_steps"] == 1000
    assert [one["run_steps"] for one in meta["trained_by"]][0] == first and len(meta["trained_by"]) == 3
    assert not (tmp_path / "a.checkpoints").exists()


def test_parts_of_another_number_of_processes_are_refused_and_stay(tmp_path):
    out = tmp_path / "a.npz"
    train(out=out, process_id=1, **TWO)
    for more, said in (
        (
            dict(num_processes=3, process_id=0),
            "holds parts of a sweep in 2 shares, and here there are 3. Go on with",
        ),
        ({}, "holds parts of a sweep in 2 shares, and here there is one. Go on with --num_processes=2, or with"),
        (
            dict(GRID, seed=range(6), num_processes=2, process_id=0),
            "of 5 runs, which are not those asked for. Go on by",
        ),
        (dict(num_processes=2, process_id=0, overwrite=True), "holds parts of a sweep. Remove it, or go on without"),
    ):
        with pytest.raises(gj.ConfigError, match=said):
            train(out=out, **GRID | more)
    assert (tmp_path / "a.parts" / "1-of-2.npz").exists() and not out.exists()


def test_more_processes_than_runs_leave_some_without_work(tmp_path):
    out = tmp_path / "a.npz"
    grids = [train(out=out, process_id=number, num_processes=3, seed=range(1), steps=20) for number in (2, 1, 0)]
    assert grids[:2] == [None, None] and (grids[2].status == "finished").all()


def test_a_dry_run_tells_of_this_process_share_and_leaves_nothing(tmp_path, capsys):
    assert train(out=tmp_path / "a.npz", dry_run=True, process_id=1, **TWO) is None
    told = capsys.readouterr().out
    assert "5 runs, 2 to train" in told or "5 runs, 3 to train" in told
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True),
    st.lists(st.sampled_from([8, 16, 32]), min_size=1, max_size=3, unique=True),
    st.integers(1, 5),
)
def test_every_run_has_one_process_and_all_have_the_same_work(steps, widths, count):
    runs = make_grid(tiny(), dict(steps=steps, width=widths)).runs()
    groups = engine.make_groups(runs)
    dealt = shares.cut(groups, count)
    ids = [run.run_id for share in dealt for group in share for run in group.pending]
    assert len(dealt) == count and sorted(ids) == sorted(run.run_id for run in runs)
    work = [sum(group.work for group in share) for share in dealt]
    largest = max(run.config.steps * group.step_work for group in groups for run in group.pending)
    assert max(work) - min(work) <= 2 * largest
    assert sum(len(share) for share in dealt) <= len(groups) + count - 1, "no group is cut more often than need be"
    assert all(list(g.pending) == sorted(g.pending, key=lambda run: -run.config.steps) for s in dealt for g in s)


@pytest.mark.parametrize(
    "names", [("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")]
)
def test_a_process_finds_its_place_by_what_has_started_it(monkeypatch, names):
    for name, value in zip(names, ("3", "8"), strict=True):
        monkeypatch.setenv(name, value)
    assert find_place(None, None, None) == Place(3, 8)
    assert find_place(1, 2, None) == Place(1, 2), "what is told counts more"
    assert find_place(None, 1, None) == Place(0, 1), "one process of several may well train alone"


ARRAY = dict(SLURM_ARRAY_TASK_MIN="3", SLURM_ARRAY_TASK_COUNT="4", SLURM_ARRAY_TASK_ID="5")


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (ARRAY, Place(2, 4)),
        (ARRAY | dict(SLURM_PROCID="1", SLURM_STEP_NUM_TASKS="2"), Place(5, 8)),
        (dict(ARRAY, SLURM_ARRAY_TASK_ID="9", SLURM_ARRAY_TASK_STEP="2"), Place(3, 4)),
    ],
    ids=["jobs of one task", "jobs of two tasks", "every second number"],
)
def test_a_job_finds_its_place_in_an_array_of_slurm(monkeypatch, told, place):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert find_place(None, None, None) == place
    assert find_place(None, 1, None) == Place(0, 1), "a job of an array may well train alone"


def test_an_array_with_gaps_is_refused(monkeypatch):
    for name, value in dict(ARRAY, SLURM_ARRAY_TASK_ID="9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(gj.ConfigError, match=r"=9 of an array of 4 from 3 .* without gaps \(--array=0-3\), or give"):
        find_place(None, None, None)


def test_a_process_that_nothing_is_told_is_alone():
    assert find_place(None, None, None) == Place(0, 1)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (dict(process_id=2, num_processes=2), "process_id=2 of num_processes=2 is out of range"),
        (dict(process_id=-1, num_processes=2), "process_id=-1 is out of range: it must be at least 0."),
        (dict(process_id=0, num_processes=0), "num_processes=0 is out of range: it must be at least 1."),
        (dict(process_id=0), "process_id and num_processes belong together. Give both, or neither."),
        (dict(num_processes=2), "process_id and num_processes belong together. Give both, or neither."),
        (dict(process_id=0, num_processes=2), "2 processes share a folder, and there is no --out to say which."),
        (dict(coordinator="nowhere", num_processes=1), "coordinator=nowhere could not bring the processes together ("),
    ],
)
def test_places_that_make_no_sense_are_refused(told, said):
    with pytest.raises(gj.ConfigError) as refused:
        train(**told)
    assert str(refused.value).startswith(said)
