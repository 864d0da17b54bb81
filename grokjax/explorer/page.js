// The script of the page that `grokjax explore` writes. It picks and draws; medians and order statistics apart, every
// number it shows was computed in Python. Its state is one object, and `draw` makes the page that of the state:
//
//     a control or a click changes `state` -> draw(what changed) -> figures and controls
"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const look = JSON.parse(byId("look").textContent);
  const data = await unpacked(byId("data").textContent);
  const figures = {};
  for (const name of ["curves", "map", "times"]) {
    await Bokeh.embed.embed_item(JSON.parse(byId(`${name}-figure`).textContent), name);
    figures[name] = Bokeh.documents[Bokeh.documents.length - 1].get_model_by_name(name);
  }
  const source = (figure, name) => figures[figure].document.get_model_by_name(name);

  // Does something only where what it rests on has changed: Bokeh lays a figure out again at each change of an axis.
  const last = new Map();
  function once(what, key, act) {
    const text = JSON.stringify(key);
    if (last.get(what) === text) return;
    last.set(what, text);
    act();
  }

  // ---- the data -------------------------------------------------------------------------------------------------

  // The tree that grokjax/explorer/packing.py packed.
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const raw = await new Response(stream).arrayBuffer();
    const length = new DataView(raw).getUint32(0, true);
    const tree = JSON.parse(new TextDecoder().decode(new Uint8Array(raw, 4, length)));
    return filled(tree, raw, 4 + length);
  }

  function filled(tree, raw, from) {
    if (tree === null || typeof tree !== "object") return tree;
    if (Array.isArray(tree)) return tree.map((branch) => filled(branch, raw, from));
    if (tree.array) return tree.array === "float64" ? plain(tree, raw, from) : curves(tree, raw, from);
    return Object.fromEntries(Object.entries(tree).map(([name, branch]) => [name, filled(branch, raw, from)]));
  }

  function plain(tree, raw, from) {
    const size = tree.shape.reduce((a, b) => a * b, 1);
    return new Float64Array(raw.slice(from + tree.start, from + tree.start + 8 * size));
  }

  // Sums along the last axis of integers whose bytes lie in four planes; a row for each run.
  function curves(tree, raw, from) {
    const steps = tree.shape[tree.shape.length - 1];
    const size = tree.shape.reduce((a, b) => a * b, 1);
    const planes = new Uint8Array(raw, from + tree.start, 4 * size);
    const bits = new Uint32Array(size);
    for (let i = 0; i < size; i++) {
      const one = planes[i] | (planes[size + i] << 8) | (planes[2 * size + i] << 16) | (planes[3 * size + i] << 24);
      bits[i] = i % steps ? bits[i - 1] + one : one; // modulo 2^32
    }
    const values = new Float32Array(bits.buffer);
    return Array.from({ length: size / steps }, (_, row) => values.subarray(row * steps, (row + 1) * steps));
  }

  const axes = data.axes;
  const sizes = axes.map((axis) => axis.values.length);
  const strides = sizes.map((_, i) => sizes.slice(i + 1).reduce((a, b) => a * b, 1));
  const settings = axes.map((_, i) => i).filter((i) => !axes[i].seeds);
  const seeds = axes.map((_, i) => i).filter((i) => axes[i].seeds);
  const numRuns = data.status.length;
  const ran = (run) => data.status[run] !== "not run";

  // Runs at places of axes, of which null takes every one.
  function runsAt(places) {
    let found = [0];
    places.forEach((place, i) => {
      const every = place === null ? Array.from({ length: sizes[i] }, (_, k) => k) : [place];
      found = found.flatMap((run) => every.map((k) => run + k * strides[i]));
    });
    return found;
  }

  const placeOf = (run) => strides.map((stride, i) => Math.floor(run / stride) % sizes[i]);
  const wholeCell = (at) => at.map((place, i) => (axes[i].seeds ? null : place));

  // The place of a cell among those of the axes that are not seeds.
  function cellOf(at) {
    return settings.reduce((flat, i) => flat * sizes[i] + at[i], 0);
  }

  // Without NaNs, in which +inf counts as larger than any number; as grokjax.results.median.
  function median(values) {
    const known = Float64Array.from(values).filter((value) => !Number.isNaN(value)).sort();
    if (!known.length) return NaN;
    const low = known[(known.length - 1) >> 1];
    const high = known[known.length >> 1];
    return low === high ? low : low / 2 + high / 2;
  }

  // ---- scales, ticks, texts -------------------------------------------------------------------------------------

  function textOf(value, scale) {
    if (Number.isNaN(value)) return "–";
    if (value === Infinity) return "never";
    if (scale === "percent") return `${+(100 * value).toPrecision(value > 0.99 && value < 1 ? 4 : 3)} %`;
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(2) : String(+value.toPrecision(4));
  }

  // 0, 500, 20k, 3M.
  function shortOf(value, scale) {
    if (!Number.isFinite(value)) return value === Infinity ? "∞" : "";
    if (scale === "percent") return `${Math.round(100 * value)}`;
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    if (size >= 1e3) return `${+(value / 1e3).toPrecision(3)}k`;
    return size && size < 1e-3 ? value.toExponential(0) : `${+value.toPrecision(3)}`;
  }

  const plural = (count) => `${count.toLocaleString("en")} run${count === 1 ? "" : "s"}`;

  // Places of values along an axis. "steps" is logarithmic from the decade of the first step after 0, and linear below.
  function scaleOf(kind, values) {
    const finite = values.filter((value) => Number.isFinite(value));
    const positive = finite.filter((value) => value > 0);
    const top = finite.reduce((a, b) => Math.max(a, b), -Infinity);
    const alone = finite.every((value) => value === top) && finite.length ? () => [top] : null; // one tick for one value
    if (kind === "steps") {
      const edge = 10 ** Math.floor(Math.log10(positive.reduce((a, b) => Math.min(a, b), Infinity)) || 0);
      const high = Math.max(top, 2 * edge);
      const room = finite.includes(0) ? Math.max(0.4, 0.14 * Math.log10(high / edge)) : 0;
      const place = (v) => (v <= edge ? (room * v) / edge : room + Math.log10(v / edge));
      const value = (p) => (p <= room ? (p * edge) / (room || 1) : edge * 10 ** (p - room));
      return { place, value, low: 0, high: place(high), ticks: (a, b) => [0, ...decades(value(a), value(b), edge)] };
    }
    if (kind === "log") {
      const low = positive.reduce((a, b) => Math.min(a, b), Infinity);
      const ends = positive.length ? [Math.log10(low), Math.log10(top)] : [0, 1];
      const pad = Math.max(0.03 * (ends[1] - ends[0]), 0.02);
      const value = (p) => 10 ** p;
      const ticks = alone ?? ((a, b) => decades(value(a), value(b), 0));
      return { place: (v) => (v > 0 ? Math.log10(v) : NaN), value, low: ends[0] - pad, high: ends[1] + pad, ticks };
    }
    const low = finite.reduce((a, b) => Math.min(a, b), Infinity);
    const [a, b] = kind === "percent" ? [0, 1] : kind === "plain steps" ? [0, top] : finite.length ? [low, top] : [0, 1];
    const pad = kind === "plain steps" ? 0 : 0.02 * (b - a) || 0.5;
    return { place: (v) => v, value: (p) => p, low: a - pad, high: b + pad, ticks: (kind === "linear" && alone) || even };
  }

  function decades(low, high, least) {
    const found = [];
    const span = Math.log10(high / Math.max(low, least || low, 1e-300));
    if (span < 0.4) return even(low, high);
    const factors = span < 0.7 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : span < 2.2 ? [1, 2, 5] : [1];
    const every = Math.max(1, Math.ceil(span / 8));
    const first = Math.floor(Math.log10(Math.max(low, least || low, 1e-300)));
    for (let power = first; power <= Math.ceil(Math.log10(high)); power++) {
      if ((power - first) % every === 0) found.push(...factors.map((factor) => +(factor * 10 ** power).toPrecision(6)));
    }
    return found.filter((value) => value >= least * (1 - 1e-9));
  }

  function even(low, high) {
    const rough = (0.9 * (high - low)) / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => +((first + i) * step).toPrecision(9));
  }

  const tickText = (value, kind) => (kind === "percent" ? `${+(100 * value).toFixed(2)} %` : shortOf(value, kind));

  function tick(axis, placesAndTexts) {
    once(axis.id, placesAndTexts, () => {
      axis.ticker.ticks = placesAndTexts.map(([place]) => place);
      axis.major_label_overrides = new Map(placesAndTexts);
    });
  }

  // Ticks of an axis, set again whenever a tool changes its range.
  function ticked(axis, range, kind, scale) {
    axis.scaleOfPage = { kind, scale };
    const set = () => {
      const { kind, scale } = axis.scaleOfPage;
      const [a, b] = [range.start, range.end];
      const values = scale.ticks(a, b).filter((v) => scale.place(v) >= a - 1e-9 && scale.place(v) <= b + 1e-9);
      tick(axis, values.map((v) => [scale.place(v), tickText(v, kind)]));
    };
    if (!range.followed) {
      range.followed = true;
      let waiting = false;
      const later = () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => { waiting = false; set(); });
      };
      range.properties.start.change.connect(later);
      range.properties.end.change.connect(later);
    }
    set();
  }

  // Sets the range to all of a scale where what is shown is another; a range that the reader chose stays otherwise.
  function ranged(figure, which, key, kind, scale, label) {
    const range = figure[`${which}_range`];
    const axis = figure[which === "x" ? "below" : "left"][0];
    if (range.shows !== key) {
      range.shows = key;
      range.setv({ start: scale.low, end: scale.high, reset_start: scale.low, reset_end: scale.high });
    }
    once(`${axis.id} label`, label, () => { axis.axis_label = label; });
    ticked(axis, range, kind, scale);
  }

  // ---- the state ------------------------------------------------------------------------------------------------

  // The page opens on a run that generalised, if any did.
  const arrived = data.times[0] && data.numbers.find((one) => one.name === data.times[0].name).values;
  const found = arrived ? arrived.findIndex((value) => Number.isFinite(value)) : -1;
  const firstRun = found >= 0 ? found : Math.max(0, data.status.findIndex((_, run) => ran(run)));
  const state = {
    at: placeOf(firstRun), // of each axis; that of a seed counts where `seed`
    seed: false, // whether one seed is picked out
    quantity: 0,
    logSteps: true,
    number: 0,
    across: settings.length ? settings[settings.length > 1 ? 1 : 0] : seeds[0] ?? null,
    up: settings.length > 1 ? settings[0] : settings.length ? seeds[0] ?? null : null,
    times: 0,
    by: settings.find((i) => sizes[i] > 1) ?? settings[0] ?? null,
  };
  const shown = {}; // what the figures show, for tooltips and for tests

  function pick(changes) {
    Object.entries(changes.at ?? {}).forEach(([i, place]) => { state.at[i] = place; });
    Object.entries(changes).forEach(([name, value]) => { if (name !== "at") state[name] = value; });
    draw();
  }

  function draw() {
    drawControls();
    drawCurves();
    drawMap();
    drawTimes();
  }

  // ---- curves ---------------------------------------------------------------------------------------------------

  function drawCurves() {
    const quantity = data.quantities[state.quantity];
    const runs = runsAt(wholeCell(state.at)).filter(ran);
    const chosen = runsAt(state.at)[0];
    const parts = Object.keys(quantity.parts);
    const steps = scaleOf(state.logSteps ? "steps" : "plain steps", Array.from(data.step));
    const places = Array.from(data.step, steps.place);
    const lines = { xs: [], ys: [], color: [], width: [], alpha: [], where: [] };
    const bands = { xs: [], ys: [], color: [] };
    const medians = { xs: [], ys: [], color: [] };
    const seen = [];
    shown.runs = [];
    shown.medians = {};
    for (const part of parts) {
      const color = look.parts[part]?.color ?? "#000000";
      for (const run of runs) {
        const until = data.step.findLastIndex((step) => step <= data.last_step[run]) + 1;
        const values = Array.from(quantity.parts[part][run].subarray(0, until));
        seen.push(values);
        const other = state.seed && run !== chosen;
        lines.xs.push(places.slice(0, until));
        lines.ys.push(values);
        lines.color.push(color);
        lines.width.push(state.seed && !other ? 3 : runs.length > 1 ? 1 : 2);
        lines.alpha.push(other ? 0.2 : runs.length > 1 && !state.seed ? 0.6 : 1);
        lines.where.push(shown.runs.push({ run, part }) - 1);
      }
      if (runs.length > 1) {
        const last = Math.max(...runs.map((run) => data.last_step[run]));
        const until = data.step.findLastIndex((step) => step <= last) + 1;
        const ordered = Array.from({ length: until }, (_, k) =>
          Float64Array.from(runs, (run) => quantity.parts[part][run][k]));
        const middle = ordered.map(median);
        shown.medians[part] = middle;
        medians.xs.push(places.slice(0, until));
        medians.ys.push(middle);
        medians.color.push(color);
        const place = data.places[runs.length];
        if (place) {
          ordered.forEach((values) => values.sort());
          bands.xs.push([...places.slice(0, until), ...places.slice(0, until).reverse()]);
          bands.ys.push([
            ...ordered.map((values) => values[place - 1]),
            ...ordered.map((values) => values[values.length - place]).reverse(),
          ]);
          bands.color.push(color);
        }
      }
    }
    const kind = quantity.scale;
    const scale = scaleOf(kind, seen.flat());
    for (const group of [lines, bands, medians]) group.ys = group.ys.map((line) => line.map(scale.place));
    const figure = figures.curves;
    source("curves", "bands").data = bands;
    source("curves", "runs").data = lines;
    source("curves", "medians").data = state.seed ? { xs: [], ys: [], color: [] } : medians;
    ranged(figure, "x", `${state.logSteps}`, "steps", steps, state.logSteps ? "step (logarithmic)" : "step");
    const of = kind === "percent" ? quantity.name : `${quantity.name} ${scale.low} ${scale.high}`;
    ranged(figure, "y", of, kind, scale, quantity.name.endsWith("loss") ? `${quantity.label} (nats)` : quantity.label);
    shown.steps = steps;
    const key = parts.filter((part) => part).map((part) => `${swatch(look.parts[part].color)}${look.parts[part].label}`);
    const band = data.places[runs.length] ? " with its 95 % interval (band)" : "";
    const several = runs.length > 1 && !state.seed;
    const lead = several ? `${runs.length} runs (thin) and their median (bold)${band}.` : plural(runs.length);
    byId("curves-key").innerHTML = key.join(" &nbsp; ");
    const ends = several ? " A line ends where its run ended; the median keeps the last value of runs that ended." : "";
    byId("curves-note").textContent = runs.length ? lead + ends : "No run of this cell has run yet.";
  }

  const swatch = (color) => `<span class="swatch" style="background:${color}"></span>`;

  // ---- the map --------------------------------------------------------------------------------------------------

  const NONE = { values: [""], label: "" };

  function drawMap() {
    if (!data.numbers.length) return;
    const fixed = settings.filter((i) => i !== state.across && i !== state.up);
    const of = [state.number, state.across, state.up, fixed.map((i) => state.at[i]), figures.map.inner_width];
    once("map", of, () => drawCells(data.numbers[state.number]));
    const wide = [state.across, state.up].some((i) => axes[i]?.seeds) && !state.seed;
    const here = [state.across, state.up].map((i) => [(state.at[i] ?? 0) + 0.5]);
    source("map", "chosen").data = wide ? { x: [], y: [] } : { x: here[0], y: here[1] };
  }

  function drawCells(number) {
    const across = axes[state.across] ?? NONE;
    const up = axes[state.up] ?? NONE;
    const kind = number.scale === "log" ? "log" : number.scale;
    const scale = scaleOf(kind, Array.from(number.values));
    const [low, high] = kind === "percent" ? [0, 1] : [scale.low, scale.high];
    const columns = { x: [], y: [], color: [], where: [] };
    const texts = { x: [], y: [], text: [], ink: [] };
    const never = { x: [], y: [] };
    const figure = figures.map;
    named(figure, "x", across);
    named(figure, "y", up);
    const few = across.values.length * 42 <= (figure.inner_width || 300) && up.values.length <= 20;
    shown.cells = [];
    up.values.forEach((_, row) => across.values.forEach((_, column) => {
      const places = state.at.map((place, i) => (i === state.across ? column : i === state.up ? row : axes[i].seeds ? null : place));
      const runs = runsAt(places).filter(ran);
      const value = median(runs.map((run) => number.values[run]));
      const tone = Math.round((255 * (scale.place(value) - low)) / (high - low || 1));
      const colored = Number.isFinite(value) && Number.isFinite(tone);
      columns.x.push(column + 0.5);
      columns.y.push(row + 0.5);
      columns.color.push(colored ? look.ramp[Math.min(255, Math.max(0, tone))] : Number.isNaN(value) ? look.not_run : "#FFFFFF");
      const place = [column + 0.5, row + 0.5];
      if (value === Infinity) pushed(never, place);
      if (few && Number.isFinite(value)) pushed(texts, [...place, shortOf(value, number.scale), tone > 140 ? "#000000" : "#FFFFFF"]);
      columns.where.push(shown.cells.push({ places, runs, value }) - 1);
    }));
    source("map", "cells").data = columns;
    source("map", "never").data = never;
    source("map", "texts").data = texts;
    const bar = source("map", "bar");
    source("map", "colors").setv({ low, high: high > low ? high : low + 1 });
    const ticks = scale.ticks(low, high).filter((v) => scale.place(v) >= low && scale.place(v) <= high);
    tick(bar, ticks.map((v) => [scale.place(v), tickText(v, kind)]));
    const pooled = seeds.filter((i) => i !== state.across && i !== state.up && sizes[i] > 1);
    const fixed = settings.filter((i) => i !== state.across && i !== state.up && sizes[i] > 1);
    const notes = [pooled.length ? "Each cell is the median of its runs." : "Each cell is one run."];
    if (fixed.length) notes.push(`Here ${fixed.map((i) => `${axes[i].label} ${axes[i].values[state.at[i]]}`).join(", ")}.`);
    if (never.x.length) notes.push("Hatched: never reached.");
    if (columns.color.includes(look.not_run)) notes.push("Grey: not run.");
    byId("map-note").textContent = `${notes.join(" ")} Click a cell to see its curves.`;
  }

  const cut = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);

  const pushed = (columns, values) => Object.values(columns).forEach((column, i) => column.push(values[i]));

  // An axis of names, of which only some where they would overlap.
  function named(figure, which, axis) {
    const range = figure[`${which}_range`];
    const end = axis.values.length;
    range.setv({ start: 0, end, reset_start: 0, reset_end: end });
    const letters = axis.values.reduce((sum, value) => sum + cut(value).length + 2, 0);
    const every = Math.max(1, Math.ceil(end / 20));
    const shownAt = axis.values.map((_, i) => i).filter((i) => i % every === 0);
    const drawn = figure[which === "x" ? "below" : "left"][0];
    const slant = which === "x" && (7 * letters) / every > (figure.inner_width || 300) ? 0.7 : "horizontal";
    drawn.setv({ axis_label: axis.label, major_label_orientation: slant });
    tick(drawn, shownAt.map((i) => [i + 0.5, cut(axis.values[i])]));
  }

  // ---- times ----------------------------------------------------------------------------------------------------

  function drawTimes() {
    const times = data.times[state.times];
    byId("times-panel").hidden = !times;
    if (!times) return;
    const axis = axes[state.by] ?? { values: ["all runs"], name: "", label: "" };
    const steps = scaleOf(state.logSteps ? "steps" : "plain steps", Array.from(data.step));
    const lines = { xs: [], ys: [], color: [], width: [], where: [] };
    const bands = { xs: [], ys: [], color: [] };
    const censored = { x: [], y: [], color: [] };
    const key = [];
    shown.shares = [];
    axis.values.forEach((label, place) => {
      const at = state.at.map((own, i) => (i === state.by ? place : own));
      const cell = cellOf(at);
      const found = times.cells[cell];
      if (!found) return;
      const color = colorOf(axis, place);
      const chosen = state.by === null || place === state.at[state.by];
      const post = (values) => Array.from(values).flatMap((value, k) => (k ? [values[k - 1], value] : [value])).concat(values[values.length - 1]);
      const across = Array.from(found.steps).flatMap((step, k) => (k ? [step, step] : [step])).concat(found.end).map(steps.place);
      lines.xs.push(across);
      lines.ys.push(post(found.share));
      lines.color.push(color);
      lines.width.push(chosen ? 4 : 1.6);
      lines.where.push(shown.shares.push({ label, found, across: axis }) - 1);
      if (found.low && (chosen || axis.values.length <= 4)) {
        bands.xs.push([...across, ...across.slice().reverse()]);
        bands.ys.push([...post(found.low), ...post(found.high).reverse()]);
        bands.color.push(color);
      }
      censored.x.push(...Array.from(found.censored, steps.place));
      censored.y.push(...found.censored_at);
      found.censored.forEach(() => censored.color.push(color));
      const p = times.p_values[axis.name]?.[cell];
      key.push({ label, color, chosen, place, runs: found.runs, never: found.never, p });
    });
    if (bands.xs.length || source("times", "shares_bands").data.xs.length) source("times", "shares_bands").data = bands;
    source("times", "shares").data = lines;
    source("times", "censored").data = censored;
    ranged(figures.times, "x", `${state.logSteps}`, "steps", steps, state.logSteps ? "step (logarithmic)" : "step");
    const part = times.name.includes("val") ? "validation" : "training";
    ranged(figures.times, "y", "share", "percent", scaleOf("percent", [0, 1]), `runs at 99 % ${part} accuracy`);
    byId("times-key").replaceChildren(...key.map((one) => {
      const button = document.createElement("button");
      button.className = one.chosen ? "chosen" : "";
      const p = Number.isFinite(one.p) ? `, p = ${one.p < 1e-3 ? one.p.toExponential(1) : +one.p.toPrecision(2)}` : "";
      const never = one.never ? `, ${one.never} never` : "";
      button.innerHTML = swatch(one.color);
      button.append(`${one.label} (${plural(one.runs)}${never}${p})`);
      if (state.by !== null) button.onclick = () => pick({ at: { [state.by]: one.place }, seed: false });
      return button;
    }));
    const tested = key.some((one) => Number.isFinite(one.p));
    byId("times-note").textContent =
      "The share of runs that have arrived, by Kaplan and Meier's estimate. A tick marks a run that had not reached 99 % when it ended (censored)." +
      (bands.xs.length ? " Band: pointwise 95 % interval." : "") +
      (tested ? ` p: log-rank test against ${axis.label} ${axis.values[0]}.` : "");
  }

  function colorOf(axis, place) {
    const count = axis.values.length;
    if (count <= look.others.length && !(axis.numeric && count > 3)) return look.others[place];
    return look.ramp[Math.round((230 * place) / Math.max(1, count - 1))];
  }

  // ---- tooltips -------------------------------------------------------------------------------------------------

  const seedOf = (run) => seeds.map((i) => `${axes[i].label} ${axes[i].values[placeOf(run)[i]]}`).join(", ");

  function of_run(at) {
    const { run } = shown.runs[at.index];
    const quantity = data.quantities[state.quantity];
    const k = at.segment_index;
    const head = [seedOf(run), `step ${textOf(data.step[k])}`].filter((text) => text).join(" · ");
    const values = Object.entries(quantity.parts).map(([part, rows]) =>
      `${look.parts[part]?.label ?? quantity.label} ${textOf(rows[run][k], quantity.scale)}`);
    const status = data.status[run] === "finished" ? [] : [data.status[run]];
    return [head, ...values, ...status].join("\n");
  }

  function of_cell(at) {
    const { places, runs, value } = shown.cells[at.index];
    const number = data.numbers[state.number];
    const where = axes.map((axis, i) => (places[i] === null ? null : `${axis.label} ${axis.values[places[i]]}`));
    const each = runs.slice(0, 12).map((run) => textOf(number.values[run], number.scale)).join(", ");
    const lines = [where.filter((text) => text).join(" · "), `${number.label}: ${textOf(value, number.scale)}`];
    if (runs.length > 1) lines.push(`of ${each}${runs.length > 12 ? ", …" : ""}`);
    return runs.length ? lines.join("\n") : `${lines[0]}\nnot run`;
  }

  function of_share(at) {
    const { label, found, across } = shown.shares[at.index];
    const step = shown.steps.value(at.snap_x);
    const k = found.steps.findLastIndex((one) => one <= step * (1 + 1e-9) + 1e-9);
    const share = textOf(found.share[Math.max(k, 0)], "percent");
    return `${across.label} ${label}\nstep ${textOf(Math.round(step))}: ${share} of ${found.runs} runs`;
  }

  // ---- controls -------------------------------------------------------------------------------------------------

  function element(kind, attributes, ...children) {
    const made = Object.assign(document.createElement(kind), attributes);
    made.append(...children);
    return made;
  }

  function choice(id, label, options, chosen, onPick) {
    const list = element("select", { id });
    options.forEach(([value, text]) => list.append(element("option", { value, textContent: text })));
    list.value = chosen;
    list.onchange = () => onPick(Number(list.value));
    return element("label", { htmlFor: id, hidden: !options.length }, `${label} `, list);
  }

  function buildControls() {
    settings.filter((i) => sizes[i] > 1).forEach((i) => {
      const axis = axes[i];
      const block = element("div", { className: "axis" });
      const value = element("b", { id: `value-${i}` });
      block.append(element("label", { className: "name", htmlFor: `axis-${i}` }, axis.label, value));
      const control = axis.numeric || sizes[i] > 40
        ? element("input", { type: "range", min: 0, max: sizes[i] - 1, step: 1, id: `axis-${i}` })
        : element("select", { id: `axis-${i}` });
      if (control.localName === "select") {
        axis.values.forEach((text, k) => control.append(element("option", { value: k, textContent: text })));
      }
      control.oninput = () => pick({ at: { [i]: Number(control.value) }, seed: false });
      block.append(control, element("small", { id: `also-${i}` }));
      byId("controls").append(block);
    });
    byId("controls").append(element("div", { className: "scroll" }, element("table", { id: "cell" })));
    byId("curves-bar").append(
      choice("quantity", "", data.quantities.map((one, k) => [k, one.label]), state.quantity, (k) => pick({ quantity: k })),
      choice("scale", "steps", [[1, "logarithmic"], [0, "linear"]], 1, (k) => pick({ logSteps: !!k })),
      element("span", { id: "curves-key" }),
    );
    const named = axes.map((axis, i) => [i, axis.label]).filter(([i]) => sizes[i] > 1 || axes.length === 1);
    byId("map-bar").append(
      choice("number", "", data.numbers.map((one, k) => [k, one.label]), state.number, (k) => pick({ number: k })),
      choice("across", "across", named, state.across, (k) => pick(k === state.up ? { across: k, up: state.across } : { across: k })),
      choice("up", "up", named, state.up, (k) => pick(k === state.across ? { up: k, across: state.up } : { up: k })),
    );
    byId("times-bar").append(
      choice("which", "", data.times.map((one, k) => [k, one.label]), state.times, (k) => pick({ times: k })),
      choice("by", "by", named.filter(([i]) => !axes[i].seeds), state.by, (k) => pick({ by: k })),
    );
    const total = data.status.filter((_, run) => ran(run)).length;
    const shape = axes.map((axis) => `${axis.label} (${axis.values.length})`).join(" × ");
    const of = total < numRuns ? `${total.toLocaleString("en")} of ` : "";
    byId("summary").textContent = `${of}${plural(numRuns)}${shape ? `: ${shape}` : ""}`;
    byId("map-panel").hidden = !data.numbers.length || numRuns === 1;
    Object.entries(data.config).forEach(([name, text]) =>
      byId("config").lastElementChild.append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: text }))));
    byId("config").hidden = !Object.keys(data.config).length;
    figures.map.on_event("tap", (event) => {
      const [column, row] = [Math.floor(event.x), Math.floor(event.y)];
      const inside = column >= 0 && row >= 0 && column < (axes[state.across] ?? NONE).values.length && row < (axes[state.up] ?? NONE).values.length;
      if (!inside) return;
      const at = {};
      if (state.across !== null) at[state.across] = column;
      if (state.up !== null) at[state.up] = row;
      pick({ at, seed: [state.across, state.up].some((i) => axes[i]?.seeds) });
    });
  }

  function drawControls() {
    settings.filter((i) => sizes[i] > 1).forEach((i) => {
      byId(`axis-${i}`).value = state.at[i];
      byId(`value-${i}`).textContent = byId(`axis-${i}`).localName === "input" ? axes[i].values[state.at[i]] : "";
      byId(`also-${i}`).textContent = axes[i].also.map((one) => `${one.label} ${one.values[state.at[i]]}`).join(", ");
    });
    byId("across").value = state.across;
    byId("up").value = state.up;
    const columns = ["steps_to_train_99", "steps_to_val_99", "final_val_accuracy"].map((name) => data.numbers.find((one) => one.name === name)).filter((one) => one);
    const heads = { steps_to_train_99: "99 % training", steps_to_val_99: "99 % validation", final_val_accuracy: "final validation" };
    const chosen = runsAt(state.at)[0];
    const rows = runsAt(wholeCell(state.at)).filter(ran).map((run) => {
      const texts = columns.map((one) => element("td", { textContent: textOf(one.values[run], one.scale) }));
      const name = seeds.map((i) => axes[i].values[placeOf(run)[i]]).join(" / ");
      return element("tr", { className: state.seed && run === chosen ? "chosen" : "" }, element("td", { textContent: name }), ...texts);
    });
    const head = [seeds.map((i) => axes[i].label).join(" / "), ...columns.map((one) => heads[one.name])];
    byId("cell").replaceChildren(element("tr", {}, ...head.map((text) => element("th", { textContent: text }))), ...rows);
  }

  window.grokjax = { data, state, shown, pick, figures, of_run, of_cell, of_share, median };
  buildControls();
  draw();
  const again = () => requestAnimationFrame(() => drawMap()); // its texts depend on its width
  window.addEventListener("resize", again);
  again();
  document.documentElement.dataset.ready = "yes";
})();
