"""Imports point one way, and what draws or judges a stored result needs no JAX. Only the source is read."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"grokjax": ROOT / "grokjax", "grokjax.experiments": ROOT / "experiments", "grokjax.figures": ROOT / "figures"}

PARTS = {"tasks", "models", "optimizers", "losses", "metrics"}
MAY = {
    "messages": set(),
    "config": set(),
    "source": set(),
    "webpage": set(),
    "catalogue": {"config"},
    "tasks": {"config"},
    "losses": {"config"},
    "models": {"config", "tasks"},
    "optimizers": {"config"},
    "metrics": {"config", "losses"},
    "runs": {"config", *PARTS},
    "results": {"config", "messages"},
    "analysis": {"results", "metrics", "tasks"},
    "sweeps": {"config", "messages", "source", *PARTS, "runs", "results", "analysis"},
    "live": {"config", *PARTS, "runs", "results", "sweeps"},
    "branching": {"config", "results", "live", "sweeps"},
    "measuring": {"messages", "results", "live", "sweeps"},
    "study": {"catalogue", "config", "sweeps", "measuring"},
    "plot": {"results", "analysis"},
    "explorer": {"results", "analysis", "plot", "webpage"},
    "exporting": {"config", "results"},
    "claims": {"catalogue", "config", "results", "analysis", "webpage"},
    "cli": {
        "catalogue",
        "config",
        "messages",
        "metrics",
        "sweeps",
        "study",
        "measuring",
        "results",
        "plot",
        "explorer",
        "claims",
    },
}
"""The rooms, each after all that it may import from, besides the version in grokjax/__init__.py."""

LATE = {
    ("cli", "experiments"),
    ("study", "experiments"),
    ("catalogue", "experiments"),
    ("cli", "figures"),
    ("results", "plot"),
    ("results", "explorer"),
}
"""What stands on top and is imported only when it is asked for: verbs, studies, and what a dataset's accessor draws."""

HEAVY = {"jax", "jaxlib", "flax", "optax", "orbax", "sklearn"}


def modules():
    """The path of every module, by its dotted name; a package by the name of its folder."""
    found = {}
    for package, folder in HOMES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


MODULES = modules()


@functools.cache
def imports(name, everywhere):
    """The modules that a module imports: everywhere in it, or only as soon as it is imported itself."""
    tree, found = ast.parse(MODULES[name].read_text()), set()
    if not everywhere:
        inner = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for node in inner:
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative name"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in MODULES else node.module)
    return frozenset(found)


def room(name):
    """The room of a module of ours, '' for grokjax/__init__.py, None for another's."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "grokjax" else None


def closure(name):
    """All modules that are imported with a module: its own imports, theirs, and the packages that they lie in."""
    seen, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one in MODULES:
            parents = [".".join(one.split(".")[:n]) for n in range(1, one.count(".") + 1)]
            waiting += [*imports(one, everywhere=False), *parents]
    return seen


def test_the_rooms_are_listed_from_the_ground_up():
    listed = list(MAY)
    for i, (name, below) in enumerate(MAY.items()):
        assert below <= set(listed[:i]), f"{name} may import {below - set(listed[:i])}, which come after it"
    rooms = {room(name) for name in MODULES} - {"", "__main__", "experiments", "figures"}
    assert rooms == set(MAY)


@pytest.mark.parametrize("of", MAY)
def test_a_room_imports_only_from_rooms_below_it(of):
    for name in (name for name in MODULES if room(name) == of):
        for target in imports(name, everywhere=True):
            where = room(target)
            allowed = where in (None, "", of) or where in MAY[of] or (of, where) in LATE
            assert allowed, f"{name} imports {target}, and {of} may import from {sorted(MAY[of])}"
            late = (of, where) in LATE and target in imports(name, everywhere=False)
            assert not late, f"{name} imports {target} as soon as it is imported itself"


LIGHT = [
    name
    for name in MODULES
    if room(name) in ("plot", "explorer", "exporting", "claims", "results", "figures", "catalogue", "messages")
]


@pytest.mark.parametrize("name", LIGHT)
def test_what_draws_and_judges_needs_no_jax(name):
    heavy = {one for one in closure(name) if one.partition(".")[0] in HEAVY}
    assert not heavy


def test_a_study_s_claims_need_no_jax():
    for name in (name for name in MODULES if name.startswith("grokjax.experiments.") and name.endswith(".claims")):
        assert not {one for one in closure(name) if one.partition(".")[0] in HEAVY}, name


def test_the_one_way_rule_of_the_engine():
    """cli -> study -> sweeps -> runs -> {tasks, models, optimizers, losses, metrics} -> config."""
    line = ["cli", "study", "sweeps", "runs", PARTS, "config"]
    ranks = {one: i for i, rooms in enumerate(line) for one in ([rooms] if isinstance(rooms, str) else rooms)}
    for name in (name for name in MODULES if room(name) in ranks):
        upward = [t for t in imports(name, everywhere=True) if ranks.get(room(t), 99) < ranks[room(name)]]
        assert not upward, f"{name} imports {upward}"
