"""All that is written to is checked before the first step, and nobody else's files are touched."""

import errno
import os

import pytest
from test_checkpoints import LONG, interrupted_after
from tiny import run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.sweeps import outputs
from grokjax.sweeps.lanes import Bank
from grokjax.sweeps.outputs import MARK


@pytest.fixture
def untrained(monkeypatch):
    """Fails where a step is made."""

    def advance(bank):
        raise AssertionError("a step was made")

    monkeypatch.setattr(Bank, "advance", advance)


def entries(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(out, **told):
    with pytest.raises(gj.ConfigError) as error:
        train(out=out, **told)
    return str(error.value)


FOREIGN = {
    "params": ["weights.pt"],
    "checkpoints": ["7/weights.pt", "notes.txt"],
    "parts": ["one.csv"],
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_somebody_else_made_is_refused_and_left_alone(tmp_path, untrained, kind, overwrite):
    folder = tmp_path / f"a.{kind}"
    for name in FOREIGN[kind]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    before = entries(tmp_path)
    several = dict(process_id=0, num_processes=2) if kind == "parts" else {}
    said = refused(tmp_path / "a.npz", overwrite=overwrite, **several)
    first = min(FOREIGN[kind]).partition("/")[0]
    assert said.startswith(f"{folder} was not made by grokjax (it holds {first}), and a sweep with --out=")
    assert said.endswith("Move it away, or choose another --out.") and entries(tmp_path) == before


def test_folders_that_sweeps_make_are_marked_and_only_what_they_wrote_is_removed(tmp_path, monkeypatch):
    out = tmp_path / "a.npz"
    interrupted_after(3, monkeypatch, out=out, **LONG)
    assert all((tmp_path / name / MARK).exists() for name in ("a.params", "a.checkpoints"))
    (tmp_path / "a.checkpoints" / "notes.txt").write_text("mine")
    (tmp_path / "a.params" / ".mine.tmp").write_text("mine")
    train(out=out, **LONG)
    assert entries(tmp_path / "a.checkpoints") == [MARK, "notes.txt"]
    assert (tmp_path / "a.params" / ".mine.tmp").exists()
    assert train(out=out, seed=range(4), steps=200).sizes["seed"] == 4, "the mark says whose it is"


def test_folders_of_earlier_versions_have_no_mark_and_are_known_by_what_they_hold(tmp_path, monkeypatch):
    out = tmp_path / "a.npz"
    interrupted_after(9, monkeypatch, out=out, snapshots=3, **LONG)
    first = run_steps(out)
    for mark in tmp_path.rglob(MARK):
        mark.unlink()
    assert entries(tmp_path / "a.params") and entries(tmp_path / "a.checkpoints")
    train(out=out, snapshots=3, **LONG)
    assert first + run_steps(out) == 600 and not (tmp_path / "a.checkpoints").exists()


def test_an_empty_folder_will_do(tmp_path):
    for kind in FOREIGN:
        (tmp_path / f"a.{kind}").mkdir()
    assert (train(out=tmp_path / "a.npz", steps=20).status == "finished").all()


@pytest.mark.parametrize("kind", ["params", "checkpoints"])
@pytest.mark.parametrize("made", ["file", "dangling link"])
def test_what_stands_where_a_folder_is_to_be_is_refused_before_the_first_step(tmp_path, untrained, kind, made):
    place = tmp_path / f"a.{kind}"
    place.write_text("mine") if made == "file" else place.symlink_to(tmp_path / "gone")
    assert refused(tmp_path / "a.npz").startswith(f"{place} is not a folder, and a sweep with --out=")


def test_a_name_that_is_too_long_while_it_is_written_is_refused_and_the_longest_that_fits_works(tmp_path):
    limit = os.pathconf(tmp_path, "PC_NAME_MAX") - len("..12345678.tmp")
    name = "x" * (limit - 3) + ".npz"
    assert refused(tmp_path / name).endswith(
        f"has a name of {limit + 1} bytes, and 14 more are added while it is written. Choose a name of at most {limit}."
    )
    assert not list(tmp_path.iterdir())
    grid = train(out=tmp_path / name[1:], steps=20, checkpoint_minutes=1e-4, keep_checkpoints=True)
    assert gj.load(tmp_path / name[1:]).identical(grid) and gj.params(tmp_path / name[1:])


def test_a_path_that_is_too_deep_for_the_files_of_a_checkpoint_is_refused(tmp_path, monkeypatch, untrained):
    monkeypatch.setattr(outputs, "DEEPEST", os.pathconf(tmp_path, "PC_PATH_MAX"))
    assert "lies too deep for the files beside it (File name too long). Choose a folder" in refused(tmp_path / "a.npz")


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "disk").mkdir()
    out, target = tmp_path / "a.npz", tmp_path / "disk" / "b.npz"
    out.symlink_to(target)
    grid = train(out=out, steps=20)  # of a link whose target is yet to be made
    assert out.is_symlink() and target.is_file() and gj.load(out).identical(grid)
    assert entries(tmp_path / "disk")[:2] == ["b.npz", "b.params"] and gj.params(out).keys() == gj.params(target).keys()
    more = train(out=out, steps=20, seed=range(2))
    assert out.is_symlink() and same_bits(more.sel(seed=0), grid) and run_steps(out) == 20


def test_links_that_lead_nowhere_are_refused(tmp_path, untrained):
    out = tmp_path / "a.npz"
    out.symlink_to(out)
    assert refused(out) == f"out={out} is a link that leads back to itself. Choose another name."
    for target, said in (("no/b.npz", "lies in a folder that does not exist"), ("b.csv", "does not end in .npz")):
        out.unlink()
        out.symlink_to(tmp_path / target)
        assert said in refused(out)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pipe.npz", "is not a file that can be replaced. Choose another name."),
        (".", "is a folder. Name a file in it, such as --out="),
        ("nul\0.npz", "is no name of a file. Try out='results/sweep.npz'."),
        ("\ud800.npz", "is no name of a file. Try out='results/sweep.npz'."),
    ],
)
def test_what_is_no_name_of_a_file_is_refused(tmp_path, untrained, name, said):
    os.mkfifo(tmp_path / "pipe.npz")
    assert said in refused(f"{tmp_path}/{name}")


def test_a_file_that_only_its_owner_may_replace_is_refused(tmp_path, monkeypatch, untrained):
    (tmp_path / "a.npz").write_bytes(b"of another user")
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    monkeypatch.setattr(outputs, "_try_to_write", lambda file: None)
    assert "belongs to another user" in refused(tmp_path / "a.npz", overwrite=True)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "lies on a disk that is full (No space left on device). Free some space, or choose another."),
        (errno.EDQUOT, "lies on a disk that is full (Disk quota exceeded). Free some space, or choose another."),
        (errno.EROFS, "lies in a folder that cannot be written to (Read-only file system). Choose another."),
    ],
)
def test_a_disk_that_takes_nothing_is_refused_before_the_first_step(tmp_path, monkeypatch, untrained, number, said):
    def fsync(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    assert refused(tmp_path / "a.npz").endswith(said) and not list(tmp_path.iterdir())


def test_a_finished_result_in_a_folder_that_cannot_be_written_to_is_read(tmp_path, monkeypatch, capsys):
    out = tmp_path / "a.npz"
    first = train(out=out, steps=20)

    def no_write(file, flags, *more, **keywords):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), file)
        return kept(file, flags, *more, **keywords)

    def no_file(file):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), file)

    kept = os.open
    monkeypatch.setattr(os, "open", no_write)
    monkeypatch.setattr(outputs, "_try_to_write", no_file)
    again = gj.sweep(tiny(steps=20), out=out)
    assert again.identical(first) and capsys.readouterr().err == f"{out} holds all 1 runs; nothing to train.\n"
    assert "(Read-only file system). Choose another." in refused(out, steps=20, seed=range(2))
