import errno
import inspect
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import fuzz_meta
import numpy as np
import pandas as pd
import pytest
from fuzz_meta import as_schema_1
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grokjax import results
from grokjax.results import ResultError

INF, NAN = float("inf"), float("nan")
STEP = np.array([0, 10, 20, 30, 40], np.int64)

# Validation curves of four kinds of run, all memorised at step 10 except the last.
GROKS = [0.0, 0.1, 0.1, 0.9, 1.0]
AT_ONCE = [0.0, 0.995, 1.0, 1.0, 1.0]
MEMORISES = [0.0, 0.1, 0.2, 0.2, 0.2]
NEVER = [0.0, 0.0, 0.0, 0.0, 0.6]


def small(val_curves, fractions=(0.3, 0.5)):
    """Arrays and meta of a grid [train_fraction, seed] with these validation curves, None being not run."""
    shape = (len(fractions), len(val_curves) // len(fractions))
    ran = np.array([c is not None for c in val_curves]).reshape(shape)
    val = np.array([c or [NAN] * 5 for c in val_curves], np.float32).reshape(*shape, 5)
    memorises = np.array([c is not NEVER for c in val_curves]).reshape(*shape, 1)
    train = np.where(np.isnan(val), NAN, np.where(memorises & (STEP >= 10), 1.0, 0.0)).astype(np.float32)

    def first(curve):
        reached = np.where(curve >= 0.99, STEP, INF).min(axis=-1)
        return np.where(ran, reached, NAN)

    arrays = {
        "train_fraction": np.array(fractions),
        "seed": np.arange(shape[1]),
        "step": STEP,
        "train_accuracy": train,
        "val_accuracy": val,
        "train_loss": 1 - train,
        "val_loss": 1 - val,
        "steps_to_train_99": first(train),
        "steps_to_val_99": first(val),
        "status": np.where(ran, "finished", "not run"),
        "last_step": np.where(ran, 40, -1),
        "final_val_accuracy": val[..., -1],
        "num_train": np.full(shape, 7),
        "run_id": np.array([f"run{i}" for i in range(ran.size)]).reshape(shape),
    }
    runs = ["train_fraction", "seed"]
    dims = {n: [*runs, "step"] if a.ndim == 3 else runs for n, a in arrays.items() if a.ndim > 1}
    dims |= {"train_fraction": ["train_fraction"], "seed": ["seed"], "step": ["step"]}
    meta = {"dims": dims, "long_name": {"seed": "random seed"}, "config": {"modulus": 97}, "params": "kept"}
    return arrays, meta


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "add.npz"
    results.write(path, *small([GROKS, AT_ONCE, MEMORISES, None]))
    return path


def grid(*val_curves, **kwargs):
    return results.to_dataset(*small(val_curves, **kwargs))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# --- the file


def test_what_is_written_is_read_back_to_the_bit(file):
    arrays, meta = small([GROKS, AT_ONCE, MEMORISES, None])
    got, got_meta = results.read(file)
    assert set(got) == set(arrays) and all(same(got[n], arrays[n]) for n in arrays)
    assert got_meta["schema"] == 2 and {k: got_meta[k] for k in meta} == meta


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_, np.dtype("<U3"), np.dtype(">f8")]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    ),
    st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.integers() | st.booleans(), st.lists)),
)
def test_any_plain_array_and_any_strict_json_survive_the_round_trip(tmp_path_factory, array, config):
    path = tmp_path_factory.mktemp("any") / "any.npz"
    axes = [f"axis{i}" for i in range(array.ndim)]
    arrays = {a: np.arange(n) for a, n in zip(axes, array.shape, strict=True)} | {"value": array}
    arrays |= {"step": np.array([0]), "status": np.full(array.shape, "finished"), "file": np.array(3)}
    arrays |= {"last_step": np.zeros(array.shape, int), "run_id": np.full(array.shape, "r")}
    dims = {n: [n] if n in [*axes, "step"] else [] if n == "file" else axes for n in arrays}
    results.write(path, arrays, {"dims": dims, "config": config})
    got, meta = results.read(path)
    assert set(got) == set(arrays) and all(same(got[n], arrays[n]) for n in arrays)
    assert meta["config"] == config


def test_numpy_alone_reads_a_result_file(file):
    with np.load(file, allow_pickle=False) as archive:
        assert json.loads(archive["meta"].item())["config"] == {"modulus": 97}
        assert archive["val_accuracy"].shape == (2, 2, 5)


def test_two_writes_of_one_result_are_the_same_bytes(file, tmp_path):
    results.write(tmp_path / "again.npz", *small([GROKS, AT_ONCE, MEMORISES, None]))
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


def test_a_result_that_was_read_can_be_written_again(file, tmp_path):
    arrays, meta = results.read(file)
    results.write(tmp_path / "copy.npz", {**arrays, "val_loss": arrays["val_loss"] + 1}, meta)
    assert np.nanmin(results.read(tmp_path / "copy.npz")[0]["val_loss"]) >= 1


def test_no_flipped_bit_ever_gives_wrong_data(file, tmp_path):
    good, good_meta = results.read(file)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.choice(len(content), 600, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "flipped.npz").write_bytes(damaged)
        try:
            arrays, meta = results.read(tmp_path / "flipped.npz")
        except ResultError:
            refused += 1
        else:  # dates and the like
            assert meta == good_meta and set(arrays) == set(good)
            assert all(same(arrays[n], good[n]) for n in good)
    assert refused > 300


def test_a_file_cut_short_anywhere_is_refused(file, tmp_path):
    content = file.read_bytes()
    for length in [0, 1, 4, 100, len(content) // 2, len(content) - 1]:
        (tmp_path / "short.npz").write_bytes(content[:length])
        with pytest.raises(ResultError, match="short.npz"):
            results.read(tmp_path / "short.npz")


@pytest.mark.parametrize("change", [lambda a: np.where(a > 0.5, a, 0.5), lambda a: a.view(np.int32)])
def test_values_changed_behind_a_valid_zip_are_refused_by_the_checksum(file, tmp_path, change):
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays["val_accuracy"] = change(arrays["val_accuracy"])
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(ResultError, match=r"the values of val_accuracy are not those that were written"):
        results.read(tmp_path / "changed.npz")


def test_a_file_that_lost_an_array_is_refused(file, tmp_path):
    with np.load(file) as archive:
        arrays = {n: a for n, a in archive.items() if n != "val_loss"}
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(ResultError, match="the arrays val_loss are missing"):
        results.read(tmp_path / "less.npz")


def test_a_missing_file_a_folder_and_a_text_file_are_each_named(tmp_path):
    with pytest.raises(ResultError, match="There is no result file .*nowhere.npz"):
        results.read(tmp_path / "nowhere.npz")
    with pytest.raises(ResultError, match="cannot be read: Is a directory"):
        results.read(tmp_path)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ResultError, match="text.npz is not an NPZ file"):
        results.read(tmp_path / "text.npz")


def test_an_npz_that_is_no_result_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(ResultError, match="has no 'meta', only weights"):
        results.read(tmp_path / "other.npz")
    np.savez(tmp_path / "odd.npz", meta=np.array("not json"))
    with pytest.raises(ResultError, match="is not the JSON of one"):
        results.read(tmp_path / "odd.npz")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "pickled.npz", meta=np.array({"a": 1}, object))
    with pytest.raises(ResultError, match="not an NPZ of plain arrays"):
        results.read(tmp_path / "pickled.npz")


def test_another_schema_is_refused_by_number(file, tmp_path):
    with np.load(file) as archive:
        arrays = dict(archive)
    for schema in (3, 0, True, 1.5, "2", None, [2]):
        arrays["meta"] = np.array(json.dumps(json.loads(arrays["meta"].item()) | {"schema": schema}))
        np.savez(tmp_path / "newer.npz", **arrays)
        with pytest.raises(ResultError, match="has schema .* and this version of grokjax reads schema 1, 2"):
            results.read(tmp_path / "newer.npz")


def with_meta(file, change, schema=2):
    """A copy of a result, by hand and plain NumPy, in whose meta something is changed."""
    arrays, meta = results.read(file)
    if schema == 1:
        meta = as_schema_1(meta, arrays)
    change(meta)
    copy = file.with_name("edited.npz")
    np.savez(copy, **arrays, meta=np.array(json.dumps(meta)))
    return copy


EDITS = {
    "dims of two axes of equal length swapped": lambda m: m["dims"].update(
        val_accuracy=["seed", "train_fraction", "step"]
    ),
    "a setting changed": lambda m: m["config"].update(modulus=96),
    "a field added": lambda m: m.update(note="hello"),
    "a field removed": lambda m: m.pop("long_name"),
    "the checksum removed": lambda m: m.pop("checksum"),
    "the checksum of another type": lambda m: m.update(checksum=7),
    "declared to be of schema 1, which has no checksum": lambda m: (m.update(schema=1), m.pop("checksum")),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_meta_is_refused(file, edit):
    with pytest.raises(ResultError, match="edited.npz is damaged: .* Restore it from a copy"):
        results.load(with_meta(file, EDITS[edit]))
    assert results.load(with_meta(file, lambda meta: None)).equals(results.load(file))


def test_two_arrays_cannot_change_places(file, tmp_path):
    arrays, meta = results.read(file)
    swapped = arrays | {"train_loss": arrays["val_loss"], "val_loss": arrays["train_loss"]}
    np.savez(tmp_path / "swapped.npz", **swapped, meta=np.array(json.dumps(meta)))
    with pytest.raises(ResultError, match="the values of train_loss, val_loss are not those"):
        results.read(tmp_path / "swapped.npz")


def test_a_result_of_schema_1_is_read_and_written_again_as_schema_2(file):
    old = with_meta(file, lambda meta: None, schema=1)
    arrays, meta = results.read(old)
    assert meta["schema"] == 1 and "checksum" not in meta
    assert results.load(old).equals(results.load(file))
    results.write(old, arrays, meta)
    assert results.read(old)[1] == results.read(file)[1]


def test_the_results_that_ship_can_be_read():
    paths = sorted((Path(__file__).parents[1] / "results" / "reference").glob("*/*.npz"))
    assert len(paths) > 20 and all(results.read(path)[1]["schema"] in results.READS for path in paths)


MISTYPED = {
    "coords": 7,
    "params": 3,
    "dims": {"seed": [["seed"]]},
    "long_name": ["seed"],
    "units": {"seed": 1},
    "config": "none",
    "axes": {"seed": []},
    "seeds": {"split": ["0"]},
    "versions": 1,
    "lanes": [None],
    "wall_seconds": "1",
    "run_steps": 1.5,
    "trained_by": [{"wall_seconds": 1}],
    "checksums": {"seed": None},
}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_field_of_the_wrong_type_is_named_in_one_sentence(file, name):
    wrong = with_meta(file, lambda meta: meta.update({name: MISTYPED[name]}), schema=1)
    for reads in (results.load, lambda path: results.params(path, seed=0, train_fraction=0.3)):
        with pytest.raises(ResultError, match=f"edited.npz is damaged: its meta has {name}=.*, which must be ") as told:
            reads(wrong)
        assert len(str(told.value).splitlines()) == 1
    arrays, meta = small([GROKS, GROKS])
    if name != "checksums":
        with pytest.raises(ResultError, match=f"was not written: its meta has {name}="):
            results.write(file, arrays, meta | {name: MISTYPED[name]})
        with pytest.raises(ResultError, match=f"are no result: its meta has {name}="):
            results.to_dataset(arrays, meta | {name: MISTYPED[name]})


def test_a_coordinate_that_is_not_there_is_named(file):
    with pytest.raises(ResultError, match="the coordinates width are missing"):
        results.load(with_meta(file, lambda meta: meta["coords"].append("width"), schema=1))


@pytest.mark.parametrize("seed", range(2))
def test_meta_edited_at_random_is_refused_or_gives_the_right_data(seed):
    found = fuzz_meta.fuzz(50, seed)
    assert not found["wrong"] and found["schema 2: refused"] > 35


# --- what is read is looked at first


def test_what_is_no_path_to_a_regular_file_is_refused_in_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code = r"""
import sys, numpy as np
from grokjax import results
calls = [results.load, results.peek, results.read, results.params, lambda p: results.write(p, {}, {}),
         lambda p: results.write_params(p, "a", {}, step=1)]
for call in calls:
    for path in (None, 3, ["a.npz"], b"a.npz", np.zeros(2)):
        try: call(path)
        except results.ResultError as error: assert "is not a path" in str(error), error
        else: raise SystemExit(f"{path!r} was taken")
for call in calls[:4]:
    for path in ("", "/dev/zero", sys.argv[1], "a\0.npz", "x" * 5000):
        try: call(path)
        except results.ResultError as error: assert len(str(error).splitlines()) == 1, error
        else: raise SystemExit(f"{path!r} was taken")
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "pipe"], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr


def bomb(path, name, header, content=b""):
    """Adds an array to an NPZ: a header, and content that need not be what it says."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"fortran_order": False} | header)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", stream.getvalue() + content)


def test_nothing_but_meta_is_unpacked_of_a_file_whose_arrays_do_not_fit(file, monkeypatch, tmp_path):
    np.savez_compressed(tmp_path / "other.npz", x=np.zeros(2**22))
    arrays, meta = results.read(file)
    larger = arrays | {"val_loss": np.zeros((2, 2, 2**20), np.float32)}
    np.savez_compressed(tmp_path / "larger.npz", **larger, meta=np.array(json.dumps(meta)))
    more = arrays | {"more": np.zeros(2**22)}
    np.savez_compressed(tmp_path / "more.npz", **more, meta=np.array(json.dumps(meta)))
    another = arrays | {"run_id": np.full((2, 2), "x" * 2**18)}
    np.savez_compressed(tmp_path / "another.npz", **another, meta=np.array(json.dumps(meta)))
    whole = np.lib.format.read_array

    def only_meta(stream, **keywords):
        array = whole(stream, **keywords)
        assert array.nbytes < 2**18 and array.shape == ()
        return array

    monkeypatch.setattr(np.lib.format, "read_array", only_meta)
    said = {
        "larger": "val_loss has",
        "more": "dimensions of more",
        "another": "values of run_id are",
        "other": "no 'meta'",
    }
    for name, told in said.items():
        with pytest.raises(ResultError, match=told):
            results.load(tmp_path / f"{name}.npz")


def test_a_header_that_does_not_fit_its_content_is_refused(tmp_path):
    for header in ({"shape": (2**40,), "descr": "<f8"}, {"shape": (1,), "descr": "<U99999999"}):
        path = tmp_path / "lies.npz"
        path.unlink(missing_ok=True)
        bomb(path, "meta", header, bytes(2**20))
        with pytest.raises(ResultError, match="meta.npy is not the plain array that it says it is"):
            results.load(path)


def test_a_meta_larger_than_any_is_refused_before_it_is_unpacked(file, monkeypatch):
    monkeypatch.setattr(results.files, "MOST_META", 1000)
    with pytest.raises(ResultError, match="its 'meta' unpacks to .* MiB"):
        results.load(file)
    with pytest.raises(ResultError, match="was not written: its meta takes"):
        results.write(file, *small([GROKS, GROKS]))


def test_what_does_not_fit_into_memory_is_refused(file, monkeypatch):
    results.write_params(file.parent / "kept", "run0", {"w": np.zeros(10**6)}, step=40)
    monkeypatch.setattr(results.archives, "memory", lambda: 10**6)
    with pytest.raises(ResultError, match="run0.npz unpacks to 7.6 MiB, more than the 1.0 MiB of memory"):
        results.params(file, train_fraction=0.3, seed=0)
    monkeypatch.setattr(results.archives, "memory", lambda: 10)
    with pytest.raises(ResultError, match="add.npz unpacks to .* of memory of this machine"):
        results.load(file)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(file, monkeypatch, error):
    before = file.read_bytes()

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((ResultError, KeyboardInterrupt)) as caught:
        results.write(file, *small([NEVER] * 4))
    assert file.read_bytes() == before and os.listdir(file.parent) == [file.name]
    if isinstance(error, OSError):
        assert "add.npz cannot be written: No space left on device" in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "occupied").write_text("")
    with pytest.raises(ResultError, match="occupied/add.npz cannot be written: "):
        results.write(tmp_path / "occupied" / "add.npz", *small([GROKS, GROKS]))


def test_a_new_file_has_the_permissions_of_any_other_new_file(file):
    (file.parent / "plain").write_text("")
    assert file.stat().st_mode == (file.parent / "plain").stat().st_mode


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a, m: a.update(extra=np.zeros(2)), "does not name the dimensions of extra"),
        (lambda a, m: a.pop("status"), "the arrays status are missing"),
        (lambda a, m: a.update(seed=np.arange(3)), "along seed, where another array has"),
        (lambda a, m: a.update(seed=np.zeros((2, 2))), r"seed has shape \(2, 2\) and dimensions"),
        (lambda a, m: m["dims"].update(status=["seed", "train_fraction"]), "run_id lies along"),
        (lambda a, m: a.update(status=np.full((2, 2), "fine")), "status fine is not one of finished"),
        (lambda a, m: (a.pop("seed"), m["dims"].pop("seed")), "the axes seed have no coordinate"),
        (lambda a, m: a.update(run_id=np.full((2, 2), None)), "run_id has dtype object"),
        (lambda a, m: m.update(wall=NAN), "strict JSON"),
        (lambda a, m: m.update(wall=np.float32(1)), "strict JSON"),
        (lambda a, m: m.pop("dims"), "its meta has no 'dims'"),
    ],
)
def test_what_does_not_fit_together_is_not_written(tmp_path, change, message):
    arrays, meta = small([GROKS, GROKS, GROKS, GROKS])
    change(arrays, meta)
    with pytest.raises(ResultError, match=message):
        results.write(tmp_path / "wrong.npz", arrays, meta)
    assert not list(tmp_path.iterdir())


def test_reading_a_result_does_not_import_jax():
    imports = "import sys, grokjax.results, grokjax.plot, grokjax.analysis.crossings, grokjax.explorer"
    code = f"{imports}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- the dataset


def test_a_loaded_grid_has_the_names_labels_and_meta_of_its_file(file):
    loaded = results.load(file)
    assert loaded["val_accuracy"].dims == ("train_fraction", "seed", "step")
    assert loaded["val_accuracy"].attrs == {"long_name": "validation accuracy", "units": "1"}
    assert loaded["seed"].attrs["long_name"] == "random seed"
    assert loaded["steps_to_val_99"].attrs["long_name"] == "steps to 99 % validation accuracy"
    assert json.loads(loaded.attrs["meta"])["config"] == {"modulus": 97}
    assert float(loaded["val_accuracy"].sel(train_fraction=0.3, seed=0, step=30)) == np.float32(0.9)


def test_loading_carries_the_last_value_on_unless_told_not_to(tmp_path):
    stopped = [0.0, NAN, 0.7, NAN, NAN]
    results.write(tmp_path / "s.npz", *small([stopped, None, [NAN, 0.5, 0.6, NAN, 0.1], GROKS]))
    curves = results.load(tmp_path / "s.npz")["val_accuracy"].values
    expected = np.array([[[0, 0, 0.7, 0.7, 0.7], [NAN] * 5], [[NAN, 0.5, 0.6, 0.6, 0.1], GROKS]], np.float32)
    np.testing.assert_array_equal(curves, expected)
    kept = results.load(tmp_path / "s.npz", fill=None)["val_accuracy"].values[0, 0]
    np.testing.assert_array_equal(kept, np.array(stopped, np.float32))


def test_a_run_that_was_not_run_stays_nan_even_if_something_stands_there():
    arrays, meta = small([GROKS, GROKS, GROKS, GROKS])
    arrays["status"][0, 0] = "not run"
    filled = results.to_dataset(arrays, meta)
    assert filled["val_accuracy"].isel(train_fraction=0, seed=0).isnull().all()
    assert filled["val_accuracy"].dtype == np.float32


def test_an_unknown_fill_is_refused(file):
    with pytest.raises(ResultError, match="fill='mean' is not known"):
        results.load(file, fill="mean")


def zipped():
    """A grid [optimizer] along which learning_rate varies too, with a per-run value of that very shape."""
    arrays = {
        "optimizer": np.array(["adamw", "sgd", "adamw"]),
        "learning_rate": np.array([1e-3, 1e-1, 1e-2]),
        "step": STEP,
        "val_accuracy": np.array([GROKS, MEMORISES, GROKS], np.float32),
        "status": np.array(["finished", "diverged", "not run"]),
        "last_step": np.array([40, 40, -1]),
        "run_id": np.array(["a", "b", "c"]),
    }
    dims = {n: ["optimizer", "step"] if a.ndim == 2 else ["optimizer"] for n, a in arrays.items()}
    return arrays, {"dims": dims | {"step": ["step"]}, "params": "kept"}


def test_zipped_axes_become_coordinates_along_the_first(tmp_path):
    results.write(tmp_path / "zipped.npz", *zipped())
    loaded = results.load(tmp_path / "zipped.npz")
    assert set(loaded.coords) == {"optimizer", "learning_rate", "step"}
    assert loaded["learning_rate"].dims == ("optimizer",) and "learning_rate" not in loaded.indexes
    assert set(loaded.data_vars) == {"val_accuracy", "status", "last_step", "run_id"}


def test_meta_may_say_which_arrays_are_coordinates():
    arrays, meta = zipped()
    arrays["norm"] = np.array([1.0, 2.0, 3.0])
    meta["dims"]["norm"] = ["optimizer"]
    assert "norm" in results.to_dataset(arrays, meta).coords
    told = results.to_dataset(arrays, meta | {"coords": ["optimizer", "learning_rate", "step"]})
    assert "norm" in told.data_vars and "learning_rate" in told.coords


def single():
    """The one run of a grid without axes."""
    arrays, meta = small([GROKS, GROKS])
    arrays = {n: a if n == "step" else a[0, 0] for n, a in arrays.items() if a.ndim != 1 or n == "step"}
    meta["dims"] = {n: ["step"] if a.ndim else [] for n, a in arrays.items()}
    return arrays, meta


def test_a_single_run_is_a_grid_without_axes(tmp_path):
    results.write(tmp_path / "one.npz", *single())
    one = results.load(tmp_path / "one.npz")
    assert one["val_accuracy"].dims == ("step",) and bool(results.grokked(one))
    assert len(results.tidy(one)) == 5
    assert results.summary(one, by=None).loc["all", "delayed"] == 1
    with pytest.raises(ResultError, match="train_fraction is not an axis of this grid, only none"):
        results.summary(one)


# --- medians, grokking, tables


@given(st.lists(st.floats(allow_nan=False) | st.just(INF), min_size=1, max_size=9), st.integers(0, 3))
def test_a_median_counts_never_as_the_largest_and_nan_as_absent(values, absent):
    ordered = sorted(values)
    middle = ordered[(len(values) - 1) // 2 : len(values) // 2 + 1]
    got = float(results.median(np.array(values + [NAN] * absent)))
    if middle[0] == middle[-1]:
        assert got == middle[0]
    elif INF in middle:
        assert got == INF or middle[0] == -INF
    else:
        assert middle[0] <= got <= middle[-1]


def test_a_median_reduces_the_axes_it_is_told():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    for axis in [None, 0, -1, (0, 2), (1, 2)]:
        np.testing.assert_allclose(results.median(values, axis), np.median(values, axis), rtol=1e-15)
    assert np.isnan(results.median(np.full((2, 3), NAN), 1)).all()
    assert results.median(np.array([1.0, INF])) == INF and results.median(np.array([INF, INF])) == INF


def test_grokked_means_that_validation_rose_after_the_training_set_was_memorised():
    table = results.grokked(grid(GROKS, AT_ONCE, MEMORISES, NEVER, None, GROKS))
    assert table.dims == ("train_fraction", "seed")
    assert table.values.tolist() == [[True, False, False], [False, False, True]]


@pytest.mark.parametrize("start", [0.0, 0.02, 0.65])
@pytest.mark.parametrize("gain, expected", [(0.29, False), (0.30, True)])
def test_thirty_points_after_memorising_are_enough_and_fewer_are_not(start, gain, expected):
    curve = [0.0, start, start, start + gain, start]  # a rise that does not last counts too
    assert results.grokked(grid(curve, curve)).values.all() == expected


def test_a_peak_before_the_training_set_was_memorised_does_not_count():
    curve = [0.9, 0.1, 0.1, 0.2, 0.2]
    assert not results.grokked(grid(curve, curve)).values.any()


def test_grokking_is_found_in_unfilled_grids_too():
    arrays, meta = small([[0.05, NAN, 0.1, 0.9, NAN], [0.0, 0.1, 0.1, 0.9, NAN]])
    arrays["steps_to_train_99"][:] = 10  # where the first has no validation accuracy: the one before is taken
    assert results.grokked(results.to_dataset(arrays, meta, fill=None)).values.all()


def test_a_summary_counts_runs_and_keeps_never_in_its_medians():
    table = results.summary(grid(GROKS, AT_ONCE, GROKS, MEMORISES, MEMORISES, None))
    assert table.index.name == "train_fraction"
    assert table.loc[0.3].to_dict() == {
        "runs": 3,
        "memorised": 3,
        "generalised": 3,
        "delayed": 2,
        "median_train": 10,
        "median_val": 40,
        "ratio": 4,
        "val_accuracy": 1.0,
    }
    assert table.loc[0.5, ["runs", "memorised", "generalised", "delayed"]].tolist() == [2, 2, 0, 0]
    assert table.loc[0.5, "median_val"] == INF and table.loc[0.5, "ratio"] == INF
    assert table.loc[0.5, "val_accuracy"] == pytest.approx(0.2)


def test_half_the_runs_never_arriving_makes_the_median_never():
    assert results.summary(grid(GROKS, MEMORISES, fractions=(0.3,))).loc[0.3, "median_val"] == INF


def test_a_ratio_needs_a_finite_and_positive_time_to_memorise():
    given = grid(GROKS, AT_ONCE, GROKS, GROKS)
    given["steps_to_train_99"].values[:] = [[0, 0], [INF, INF]]
    assert results.summary(given)["ratio"].isna().all()


def test_a_summary_keeps_the_order_of_the_grid():
    assert results.summary(grid(GROKS, GROKS, fractions=(0.5, 0.3))).index.tolist() == [0.5, 0.3]


def test_a_summary_may_go_by_several_coordinates_or_none():
    both = results.summary(grid(GROKS, AT_ONCE, MEMORISES, None), by=["seed", "train_fraction"])
    assert both.index.names == ["seed", "train_fraction"] and both["runs"].tolist() == [1, 1, 1, 0]
    assert results.summary(grid(GROKS, AT_ONCE, MEMORISES, None), by=None)["runs"].tolist() == [3]


def test_a_summary_goes_by_a_selected_or_zipped_coordinate():
    full = grid(GROKS, AT_ONCE, MEMORISES, MEMORISES)
    assert results.summary(full.sel(train_fraction=0.5)).index.tolist() == [0.5]
    along = full.assign_coords(noise=("seed", [0.1, 0.1]))
    assert results.summary(along, by="noise")["runs"].tolist() == [4]


def test_a_summary_by_what_is_no_axis_names_the_axes():
    with pytest.raises(ResultError, match="width is not an axis of this grid, only train_fraction, seed"):
        results.summary(grid(GROKS, GROKS), by="width")


def test_a_summary_prints_never_for_infinity_in_columns_of_one_width():
    text = results.format_summary(results.summary(grid(GROKS, AT_ONCE, MEMORISES, NEVER)))
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 4
    assert lines[2].split() == ["0.3", "2", "2", "2", "1", "10", "25", "2.5", "100.0", "%"]
    assert lines[3].split() == ["0.5", "2", "1", "0", "0", "never", "never", "-", "40.0", "%"]


def test_the_tidy_table_has_a_row_per_run_and_step():
    table = results.tidy(grid(GROKS, AT_ONCE, MEMORISES, None))
    assert len(table) == 3 * 5 and set(table["run_id"]) == {"run0", "run1", "run2"}
    row = table[(table["train_fraction"] == 0.5) & (table["seed"] == 0) & (table["step"] == 20)]
    assert row["val_accuracy"].item() == np.float32(0.2) and row["steps_to_val_99"].item() == INF
    assert table.columns[:3].tolist() == ["train_fraction", "seed", "step"]


def test_the_tidy_table_does_not_depend_on_the_order_of_the_axes():
    given_grid = grid(GROKS, AT_ONCE, MEMORISES, NEVER)
    turned = given_grid.transpose("step", "seed", "train_fraction")
    order = ["run_id", "step"]
    a, b = (results.tidy(g).sort_values(order).reset_index(drop=True) for g in (given_grid, turned))
    pd.testing.assert_frame_equal(a, b[a.columns])


def test_values_stored_with_their_axes_turned_meet_the_right_run():
    given = grid(GROKS, AT_ONCE, MEMORISES, NEVER)
    turned = given.assign(steps_to_val_99=given["steps_to_val_99"].transpose())
    pd.testing.assert_frame_equal(results.runs(turned), results.runs(given))


def test_a_grid_without_its_status_is_answered_with_what_it_has():
    with pytest.raises(ResultError, match="This grid has no status, only .*val_accuracy"):
        results.tidy(grid(GROKS, GROKS)[["val_accuracy"]])


# --- parameters

TREE = {
    "embed": np.eye(2, dtype=np.float32),
    "block_0": {"w_q": np.arange(3), "norm": {"scale": np.array(2.0)}},
}


def test_the_parameters_of_one_run_come_back_as_they_were(file):
    results.write_params(file.parent / "kept", "run2", TREE, step=40)
    tree = results.params(file, train_fraction=0.5, seed=0)
    assert tree.keys() == TREE.keys() and same(tree["embed"], TREE["embed"])
    assert same(tree["block_0"]["w_q"], TREE["block_0"]["w_q"])
    assert same(tree["block_0"]["norm"]["scale"], TREE["block_0"]["norm"]["scale"])


def test_numbers_select_with_a_tolerance(file):
    results.write_params(file.parent / "kept", "run0", TREE, step=40)
    assert results.params(file, train_fraction=0.1 + 0.2, seed=np.int64(0)).keys() == TREE.keys()
    assert results.params(file, train_fraction=np.float32(0.3), seed=0.0).keys() == TREE.keys()


def test_zipped_coordinates_select_too(tmp_path):
    results.write(tmp_path / "zipped.npz", *zipped())
    results.write_params(tmp_path / "kept", "a", TREE, step=40)
    assert results.params(tmp_path / "zipped.npz", optimizer="adamw", learning_rate=1e-3).keys() == TREE.keys()
    with pytest.raises(ResultError, match="2 runs of .* match, .* select also by optimizer"):
        results.params(tmp_path / "zipped.npz", optimizer="adamw")
    with pytest.raises(ResultError, match="these vary together"):
        results.params(tmp_path / "zipped.npz", optimizer="sgd", learning_rate=1e-3)
    with pytest.raises(ResultError, match="Run c of .* has not ended, so it has no final parameters"):
        results.params(tmp_path / "zipped.npz", learning_rate=1e-2)


def test_a_selection_that_fits_no_run_or_several_says_so(file):
    with pytest.raises(ResultError, match=r"has train_fraction=0.45; it has 0.3, 0.5. The nearest is 0.5"):
        results.params(file, train_fraction=0.45, seed=0)
    with pytest.raises(ResultError, match=r"4 runs .*: select also by train_fraction \(0.3, 0.5\); seed \(0, 1\)"):
        results.params(file)
    with pytest.raises(ResultError, match="width is not an axis of .*, only train_fraction, seed"):
        results.params(file, width=3)


def test_parameters_that_were_not_kept_or_are_lost_say_why(file, tmp_path):
    with pytest.raises(ResultError, match="There is no file of final parameters .*kept/run0.npz. Move the folder"):
        results.params(file, train_fraction=0.3, seed=0)
    arrays, meta = small([GROKS, GROKS])
    results.write(tmp_path / "none.npz", arrays, meta | {"params": None})
    with pytest.raises(ResultError, match="written without final parameters"):
        results.params(tmp_path / "none.npz", train_fraction=0.3)


def test_damaged_parameters_are_refused(file):
    path = results.write_params(file.parent / "kept", "run0", TREE, step=40)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.infolist()[0].header_offset + 60] ^= 255
    path.write_bytes(content)
    with pytest.raises(ResultError, match="run0.npz is cut short, damaged"):
        results.params(file, train_fraction=0.3, seed=0)


def test_parameters_that_cannot_be_stored_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ResultError, match="'a/b' is no key"):
        results.write_params(tmp_path, "run0", {"a/b": np.zeros(1)}, step=40)
    with pytest.raises(ResultError, match="x has dtype object"):
        results.write_params(tmp_path, "run0", {"x": None}, step=40)
    with pytest.raises(ResultError, match="cannot name a file"):
        results.write_params(tmp_path, "../run0", TREE, step=40)
    assert not list(tmp_path.iterdir())


def test_parameters_copied_over_another_runs_are_refused_and_say_whose_they_are(file):
    kept = file.parent / "kept"
    for run_id in ("run0", "run1"):
        results.write_params(kept, run_id, TREE, step=40)
        for step in (10, 20):
            results.write_params(kept, run_id, TREE, step=step, final=False)
    wanted = dict(train_fraction=0.3, seed=0)
    assert results.params(file, **wanted).keys() == results.params(file, step=10, **wanted).keys() == TREE.keys()
    for copied, over, step, told in (
        ("run1", "run0", None, "of run run1 at step 40, not those of run run0 at step 40"),
        ("run0-20", "run0", None, "of run run0 at step 20, not those of run run0 at step 40"),
        ("run0-20", "run0-10", 10, "of run run0 at step 20, not those of run run0 at step 10"),
        ("run1-10", "run0-10", 10, "of run run1 at step 10, not those of run run0 at step 10"),
    ):
        (kept / f"{over}.npz").write_bytes((kept / f"{copied}.npz").read_bytes())
        with pytest.raises(ResultError, match=f"{over}.npz holds the parameters {told}"):
            results.params(file, step=step, **wanted)


def test_parameters_of_older_versions_which_do_not_say_whose_they_are_can_be_read(file):
    (file.parent / "kept").mkdir()
    np.savez(file.parent / "kept" / "run0.npz", **{"block_0/w_q": np.arange(3)})
    assert same(results.params(file, train_fraction=0.3, seed=0)["block_0"]["w_q"], np.arange(3))


@pytest.mark.parametrize("named", ["/etc", "../kept", "kept/../../kept", ".", "", "a\0"])
def test_parameters_are_not_read_from_elsewhere(tmp_path, named):
    home = tmp_path / "home"
    arrays, meta = small([GROKS, GROKS])
    results.write(home / "add.npz", arrays, meta | {"params": named})
    results.write_params(tmp_path / "kept", "run0", TREE, step=40)
    with pytest.raises(ResultError, match="which does not lie beside it|written without final parameters"):
        results.params(home / "add.npz", train_fraction=0.3)


def test_a_part_of_a_sweep_has_its_parameters_beside_the_whole(tmp_path, monkeypatch):
    arrays, meta = small([GROKS, GROKS])
    results.write(tmp_path / "add.parts" / "0-of-2.npz", arrays, meta | {"params": "../kept"})
    results.write_params(tmp_path / "kept", "run0", TREE, step=40)
    monkeypatch.chdir(tmp_path)
    assert results.params("add.parts/0-of-2.npz", train_fraction=0.3).keys() == TREE.keys()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (dict(step="10"), "step='10' is not a whole number"),
        (dict(step=1.5), "step=1.5 is not a whole number"),
        (dict(step=True), "step=True is not a whole number"),
        (dict(step=10), "has no snapshot of run run0 at step 10, only 20"),
        (dict(seed=[0, 1]), r"seed=\[0, 1\] is not one value"),
        (dict(seed=None), "seed=None is not one value"),
        (dict(seed=10**400), "No run of .* has seed=10"),
        (dict(seed="0"), "No run of .* has seed=0"),
    ],
)
def test_what_selects_no_run_is_answered_in_a_sentence(file, asked, told):
    results.write_params(file.parent / "kept", "run0", TREE, step=20, final=False)
    (file.parent / "kept" / "run0-x.npz").write_text("foreign")
    keywords = {"step": asked["step"]} if "step" in asked else {}
    with pytest.raises(ResultError, match=told):
        inspect.unwrap(results.params)(file, **keywords, train_fraction=0.3, seed=asked.get("seed", 0))
