"""Opens pages of grokjax in a headless Chromium and uses them as a reader does; by hand, since it needs the browser.

    apt-get install chromium
    python tests/browse.py --folder=EMPTY

It makes the page of a shipped grid of 330 runs and that of 1,000 made-up runs of 300 evaluations each, and the pages of
the report. Of each it checks: it loads from its file, asks for nothing else, its console has no error, its medians are
those of `results.median`, a click on a cell of the map changes the curves to that cell's, tooltips say what the grid
has. It prints sizes and the time from an input until the page is drawn anew, and leaves screenshots in the folder.
"""

import argparse
import asyncio
import statistics
from pathlib import Path

import numpy as np
from browser import Tab, chromium

from grokjax import results
from grokjax.claims import words
from grokjax.cli import reporting
from grokjax.explorer import explore

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "results/reference/pku/optimizers-grid.npz"
READY = "document.documentElement.dataset.ready == 'yes'"
LARGEST, SLOWEST = 5e6, 100.0
"""Bytes that the page of 1,000 runs may have, and milliseconds that an input may take."""

REACTION = """(async (change, i) => {
  const begun = performance.now();
  change(i);
  await new Promise(requestAnimationFrame);  // Bokeh paints in the frames that it asked for before
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
})"""


POINT = """(k) => {
  const of = grokjax.figures.curves, frame = Bokeh.index.get_by_id(of.id).frame;
  const runs = of.document.get_model_by_name("runs").data;
  const box = document.getElementById("curves").getBoundingClientRect();
  return [box.x + frame.x_scale.compute(runs.xs[0][k]), box.y + frame.y_scale.compute(runs.ys[0][k])];
}"""
"""Where the k-th evaluation of the first run is in the window."""

TEXTS = """function texts(of) {
  const more = [...(of.shadowRoot?.childNodes ?? []), ...of.childNodes].map(texts);
  return ["STYLE", "SCRIPT"].includes(of.nodeName) ? "" : (of.nodeType === 3 ? of.data : "") + more.join(" ");
}"""
"""All that is written in an element, and in the shadow trees that Bokeh puts in it."""


async def reaction(tab: Tab, change: str, times: int = 15) -> tuple[list[float], list[float]]:
    """Milliseconds from an input until the page is drawn anew: those that pass, and those that its thread works.

    On a machine that does other things too the first says little, and the second is what the page itself takes.
    """

    async def worked():
        found = (await tab.call("Performance.getMetrics"))["metrics"]
        return 1000 * next(one["value"] for one in found if one["name"] == "TaskDuration")

    passed, work = [], []
    for i in range(times):
        await asyncio.sleep(0.1)
        begun = await worked()
        passed.append(await tab.evaluate(f"{REACTION}({change}, {i})"))
        work.append(await worked() - begun)
    return passed, work


def thousand(noise: float = 0.02):
    """1,000 made-up runs of 300 evaluations: 10 train fractions x 10 weight decays x 10 seeds, noisy throughout."""
    rng = np.random.default_rng(0)
    axes = {
        "train_fraction": np.linspace(0.3, 0.75, 10).round(2),
        "weight_decay": np.linspace(0, 2, 10).round(2),
        "seed": np.arange(10),
    }
    step = np.unique(np.concatenate([[0], np.geomspace(1, 50_000, 420).round()]).astype(int))[:300]
    shape = tuple(map(len, axes.values()))
    fraction, decay = axes["train_fraction"][:, None, None], axes["weight_decay"][None, :, None]
    memorised = 150 * np.exp(rng.normal(0, 0.1, shape))
    arrival = memorised * np.exp(1 + 6 * (0.8 - fraction) - decay + rng.normal(0, 0.3, shape))

    def rise(at):
        clear = 1 / (1 + np.exp(-6 * (np.log1p(step) - np.log(at)[..., None])))
        return np.clip(np.round((clear + rng.normal(0, noise, clear.shape)) * 5000) / 5000, 0, 1)

    def crossing(curve):
        there = curve >= 0.99
        return np.where(there.any(-1), step[there.argmax(-1)], np.inf)

    train, val = rise(memorised), rise(arrival)
    losses = {
        f"{part}_loss": -np.log(np.clip(curve, 1e-3, 0.999)) * np.exp(rng.normal(0, 0.1, curve.shape))
        for part, curve in (("train", train), ("val", val))
    }
    curves = losses | {"train_accuracy": train, "val_accuracy": val}
    arrays = {name: curve.astype(np.float32) for name, curve in curves.items()}
    arrays |= {
        "steps_to_train_99": crossing(train),
        "steps_to_val_99": crossing(val),
        "final_val_accuracy": arrays["val_accuracy"][..., -1],
        "status": np.full(shape, "finished"),
        "last_step": np.full(shape, step[-1]),
        "run_id": np.array([f"r{i}" for i in range(1000)]).reshape(shape),
    }
    dims = {name: [*axes, "step"][: value.ndim] for name, value in arrays.items()}
    dims |= {name: [name] for name in [*axes, "step"]}
    return results.to_dataset(arrays | axes | {"step": step}, {"dims": dims})


async def used(tab: Tab, path: Path, grid, folder: Path) -> None:
    """Opens the page of a grid, uses it, and checks what it shows against the grid."""
    await tab.open(path, READY)
    await asyncio.sleep(1)
    await tab.call("Performance.enable", timeDomain="threadTicks")
    dims = [dim for dim in grid["status"].dims if dim != "seed"]

    async def cell():
        return dict(zip(grid["status"].dims, await tab.evaluate("grokjax.state.at"), strict=True))

    async def medians():
        at = {dim: place for dim, place in (await cell()).items() if dim in dims}
        for part, found in (await tab.evaluate("grokjax.shown.medians")).items():
            values = results.median(grid[f"{part}_accuracy"].isel(at).transpose("seed", "step").values, 0)
            np.testing.assert_allclose(found, values[: len(found)], rtol=1.3e-4, err_msg=f"{at}")
        return at

    await medians()
    await tab.screenshot(folder / f"{path.stem}.png")
    before = await cell()
    await tab.evaluate("document.getElementById('map').scrollIntoView({block: 'end'})")
    for share in (0.17, 0.87):
        place = await tab.evaluate(
            f"""(() => {{
              const canvas = document.querySelector('#map').getBoundingClientRect(), map = grokjax.figures.map;
              const frame = Bokeh.index.get_by_id(map.id).frame.bbox;
              const at = [canvas.x + frame.left + {share} * frame.width, canvas.y + frame.top + 0.47 * frame.height];
              return [...at, map.x_range.end * {share}, map.y_range.end * 0.53];
            }})()"""
        )
        await tab.click(*place[:2])
        await asyncio.sleep(0.6)
        after = await medians()
        across, up = await tab.evaluate("[grokjax.state.across, grokjax.state.up]")
        names = grid["status"].dims
        assert (after[names[across]], after[names[up]]) == (int(place[2]), int(place[3])), (after, place)
    assert after != before, "a click changed nothing"
    told = await tab.evaluate("grokjax.of_run({index: 0, segment_index: 3})")
    assert f"step {grid['step'].values[3]}" in told and "seed" in told and "training" in told, told
    places = await tab.evaluate("grokjax.shown.cells.map((one) => one.value === Infinity ? 'never' : one.value)")
    across, up = (names[i] for i in (across, up))
    rest = {dim: after[dim] for dim in dims if dim not in (across, up)}
    wanted = results.median(grid["steps_to_val_99"].isel(rest).transpose(up, across, "seed").values, -1).ravel()
    assert ["never" if np.isinf(value) else value for value in wanted] == places
    await tab.screenshot(folder / f"{path.stem}-clicked.png")
    await tab.evaluate("document.getElementById('curves').scrollIntoView({block: 'center'})")
    await asyncio.sleep(0.3)
    k = int(grid.sizes["step"] * 0.7)
    await tab.move(*await tab.evaluate(f"({POINT})({k})"))
    await asyncio.sleep(0.5)
    told = await tab.evaluate(f"({TEXTS})(document.body)")
    run = grid.isel({dim: (await cell())[dim] for dim in dims} | {"seed": 0})
    shown = f"seed {run['seed'].item()} · step {grid['step'].values[k]:,}"
    assert shown in told, f"no tooltip says {shown}"
    await tab.screenshot(folder / f"{path.stem}-hover.png")
    changes = {
        "a slider": f"(i) => grokjax.pick({{at: {{{len(dims) - 1}: i % {grid.sizes[dims[-1]]}}}}})",
        "linear steps": "(i) => grokjax.pick({logSteps: i % 2 == 0})",
        "loss": "(i) => grokjax.pick({quantity: i % 2})",
        "another number": "(i) => grokjax.pick({number: i % 3})",
    }
    for what, change in changes.items():
        passed, work = await reaction(tab, change)
        middle = [statistics.median(times) for times in (passed, work)]
        print(f"  {what:<16} {middle[0]:6.1f} ms pass, {middle[1]:5.1f} of work, at most {max(work):.1f}")
        assert middle[1] < SLOWEST, f"{what} takes {middle[1]} ms"
    assert not tab.errors, tab.errors
    assert tab.requested == [path.resolve().as_uri()], tab.requested
    tab.requested.clear()


async def look(folder: Path) -> None:
    """All pages; see above."""
    folder.mkdir(parents=True, exist_ok=True)
    grids = {"shipped": results.load(SHIPPED), "thousand": thousand()}
    for name, grid in grids.items():
        page = explore(SHIPPED if name == "shipped" else grid, folder / f"{name}.html")
        size = page.path.stat().st_size
        print(f"{name}: {grid['status'].size} runs of {grid.sizes['step']} evaluations, {size / 1e6:.2f} MB")
        assert size < LARGEST
        async with chromium() as tab:
            begun = asyncio.get_running_loop().time()
            await tab.open(page.path, READY)
            print(f"  opened in        {asyncio.get_running_loop().time() - begun:.1f} s")
            tab.requested.clear()
            await used(tab, page.path, grid, folder)


async def report(folder: Path) -> None:
    """The pages of the report on the shipped results: the table sorts and filters, a click opens a claim's page."""
    reporting.report_command(["report", "--html", f"--folder={SHIPPED.parents[1]}", f"--out={folder / 'index.html'}"])
    async with chromium() as tab:
        await tab.open(folder / "index.html", "document.readyState == 'complete'")
        rows = "[...document.querySelectorAll('#claims tbody tr')].filter((row) => !row.hidden)"
        outcomes = f"{rows}.map((row) => row.dataset.outcome)"
        whole = await tab.evaluate(outcomes)
        await tab.evaluate("document.querySelectorAll('#claims th button')[2].click()")
        order = list(words.MEANING)
        assert await tab.evaluate(outcomes) == sorted(whole, key=order.index) != whole
        await tab.screenshot(folder / "index.png")
        await tab.evaluate("document.querySelectorAll('#filter button')[1].click()")
        left = await tab.evaluate(outcomes)
        assert left and set(left) == {min(whole, key=order.index)}, left
        await tab.evaluate("document.querySelector('#claims tbody tr:not([hidden]) a').click()")
        await asyncio.sleep(2)
        assert await tab.evaluate("document.querySelector('nav a').textContent") == "All claims"
        pictures = "[...document.images].map((one) => one.complete && one.naturalWidth > 100)"
        assert await tab.evaluate(pictures) == [True]
        await tab.screenshot(folder / "claim.png")
        assert not tab.errors, tab.errors
        assert all(address.startswith(folder.resolve().as_uri()) for address in tab.requested), tab.requested
        print(f"report: {len(whole)} claims sort by verdict, and each opens its page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where pages and screenshots go")
    folder = parser.parse_args().folder
    asyncio.run(look(folder))
    asyncio.run(report(folder / "report"))
    print("no error in any console, and no request to anywhere")


if __name__ == "__main__":
    main()
