"""How every test runs: on the CPU, with strict promotion of dtypes and shapes checked at each call."""

import dataclasses
import functools
import gc
import importlib.metadata
import inspect
import os
import shutil
import signal
import tempfile

_FIRST = "PYTEST_XDIST_WORKER" not in os.environ
_own_cache = None
if _FIRST and not ("CI" in os.environ and "XDG_CACHE_HOME" in os.environ):
    # The compilation cache lies in there. The user's own must neither speed up nor spoil a test; workers inherit ours.
    _own_cache = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="grokjax-tests-")
os.environ["MPLBACKEND"] = "Agg"
os.environ["NPROC"] = str(os.cpu_count())  # the size of XLA's thread pool, on which the last bits depend
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling is most of what the tests do; the least optimised code, by the older code generator where there is a choice,
# compiles in a third of the time.
_quick = ["--xla_backend_optimization_level=0"]
if importlib.metadata.version("jaxlib") < "0.11":
    _quick.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([*os.environ.get("XLA_FLAGS", "").split(), *_quick])

if hasattr(signal, "SIGHUP"):  # which nohup has ignored, and some tests send
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import beartype  # noqa: E402
import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
gc.set_threshold(50_000, 20, 100)  # tracing makes many small objects, few of them garbage

# Their dataclasses, and `sweep`, convert what they are given, such as the words of a command line, to the kind they
# declare.
CONVERTING = {
    "grokjax.config.execution",
    "grokjax.config.run",
    "grokjax.models.decoder",
    "grokjax.models.encoder_decoder",
    "grokjax.models.lstm",
    "grokjax.models.pooled",
    "grokjax.optimizers.base",
    "grokjax.optimizers.chains",
    "grokjax.optimizers.muon",
    "grokjax.optimizers.users",
    "grokjax.sweeps",
    "grokjax.tasks.custom",
    "grokjax.tasks.digits",
    "grokjax.tasks.mixture",
    "grokjax.tasks.modular",
    "grokjax.tasks.parity",
    "grokjax.tasks.permutations",
    "grokjax.tasks.regression",
    "grokjax.tasks.sequences",
}


def typechecked(function):
    """`function` with its annotations checked at each call; an int will do where a float is asked for."""
    if function.__name__ in ("__init__", "sweep") and function.__module__ in CONVERTING:
        return function
    return beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))(function)


_shapechecked = jaxtyping.jaxtyped


def _checked(*, typechecker):
    """What the import hook decorates functions and dataclasses with: shapes are checked where an annotation has any.

    To check shapes takes longer than most functions of the host, and twenty times as long as to check types.
    """

    def decorated(thing):
        function = thing.__init__ if inspect.isclass(thing) else thing
        if "jaxtyping" in str(getattr(function, "__annotations__", "jaxtyping")):
            return _shapechecked(typechecker=typechecker)(thing)
        if not inspect.isclass(thing):  # those made anew at each call of another would be read anew each time
            return thing if "<locals>" in thing.__qualname__ else typechecked(thing)
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = typechecked(function)
        return thing

    return decorated


jaxtyping.jaxtyped = _checked
jaxtyping.install_import_hook("grokjax", "conftest.typechecked")


@pytest.fixture
def two_places(monkeypatch):
    """At least two places where runs train, also on a machine with one core: two threads that share it."""
    from grokjax.sweeps import devices

    monkeypatch.setattr(devices, "cores", functools.partial(max, 2, devices.cores()))


def pytest_unconfigure(config):
    """Removes the cache, in the process that made it."""
    if _own_cache:
        shutil.rmtree(_own_cache, ignore_errors=True)
