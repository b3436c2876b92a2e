// Draws with uPlot. Fetched only where a chart is.
import uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import { gutter, moments, reach } from "./chart-axis";
import { cells, greatest, scale as heatScale, stepOf } from "./chart-heat";
import { legendOf, moment, type Legend } from "./chart-legend";
import { dotsOf, endless, Flags, marks, thresholds, type Paint } from "./chart-marks";
import { axesOf, axisAt, colors, kindOf, known, same, nothing, unitOf, wordFor, type Axis, type Data, type Line } from "./chart-model";
import { markedAt, rowsAt, Tip } from "./chart-tip";
import { axisText, format, steps } from "./chart-units";

export type { Data } from "./chart-model";


// Drawing is one chart in its element. It lives until destroy.
export class Drawing {
  #host: HTMLElement;
  #data: Data = nothing;
  #plot: uPlot | null = null;
  #legend: Legend | null = null;
  #canvas = document.createElement("div");
  #said = document.createElement("span");
  #tip = new Tip();
  #flags = new Flags();
  #dots = document.createElement("div");
  #hidden = new Set<string>();
  #names: string[] = []; // custom properties of the colours, by line
  #colors: string[] = []; // what they are in the current scheme
  #paints = new Map<string, string>();
  #zoomed: [number, number] | null = null; // without a page to open
  #axes: Axis[] = [];
  #near: number | null = null; // the line next to the pointer
  #cursor: number | null = null; // the moment chosen with the keyboard
  #start: number | null = null; // where a selection by keyboard began
  #watch: ResizeObserver;
  #saying = 0;

  constructor(host: HTMLElement, data: Data) {
    this.#host = host;
    this.#canvas.className = "chart-canvas";
    this.#canvas.tabIndex = 0;
    this.#canvas.setAttribute("role", "application");
    this.#canvas.setAttribute("aria-roledescription", "chart");
    this.#canvas.setAttribute("aria-label", `${host.dataset.title ?? "Chart"}. Arrow keys move through the time.`);
    this.#canvas.addEventListener("keydown", (e) => this.#key(e));
    this.#canvas.addEventListener("blur", () => this.#leave());
    this.#said.className = "visually-hidden";
    this.#said.setAttribute("role", "status");
    this.#watch = new ResizeObserver(() => this.#fit());
    this.show(data);
    this.#watch.observe(this.#canvas);
  }

  get #height(): number {
    return Number(this.#host.dataset.height) || 180;
  }

  // show draws other numbers, in place where their shape is the same.
  show(data: Data): void {
    if (this.#plot && same(this.#data, data)) {
      this.#data = data;
      this.#plot.setData(this.#columns());
      this.#legend?.refresh(data);
      return;
    }
    this.#data = data;
    const labels = new Set(data.lines.map((l) => l.label));
    for (const label of this.#hidden) if (!labels.has(label)) this.#hidden.delete(label);
    this.redraw();
  }

  // redraw makes everything anew: after a change of the colours or of the shape.
  redraw(): void {
    const focused = document.activeElement === this.#canvas;
    this.#plot?.destroy();
    this.#plot = null;
    this.#legend = null;
    this.#paints.clear();
    this.#tip.hide();
    this.#names = colors(this.#data.lines);
    this.#axes = this.#heat ? [{ unit: "", right: false }] : axesOf(this.#data);
    this.#canvas.style.minHeight = `${this.#height}px`;
    this.#canvas.replaceChildren();
    const text = this.#data.error || (this.#empty() ? this.#data.empty || "No data in this time." : "");
    if (text) {
      const p = document.createElement("p");
      p.className = this.#data.error ? "chart-error" : "chart-none";
      p.textContent = text;
      this.#canvas.append(p);
      this.#host.replaceChildren(this.#canvas);
      return;
    }
    if (!this.#host.contains(this.#canvas)) this.#host.replaceChildren(this.#canvas);
    this.#colors = this.#names.map((name) => this.#paint(name));
    this.#host.replaceChildren(...this.#legendFirst(), this.#canvas, ...this.#legendLast(), this.#tip.root, this.#said);
    this.#plot = new uPlot(this.#options(), this.#columns(), this.#canvas);
    this.#plot.over.append(this.#flags.root, this.#dots);
    this.#flags.place(this.#plot, this.#data);
    if (focused) this.#canvas.focus({ preventScroll: true });
  }

  destroy(): void {
    this.#watch.disconnect();
    clearTimeout(this.#saying);
    this.#plot?.destroy();
    this.#host.replaceChildren();
  }

  #empty(): boolean {
    return !this.#data.lines.some((l) => l.values.some((v) => v != null));
  }

  get #heat(): boolean {
    return this.#data.view === "heat";
  }

  #legendFirst(): HTMLElement[] {
    if (this.#data.legend === "none") return [];
    if (this.#heat) {
      return [heatScale(format(greatest(this.#data), unitOf(this.#data, this.#data.lines[0])), (n, a) => this.#paint(n, a))];
    }
    this.#legend = legendOf(this.#data, {
      colors: this.#colors,
      right: this.#axes.length > 1 ? this.#data.lines.map((l) => this.#axes[axisAt(this.#data, this.#axes, l)].right) : [],
      hidden: this.#hidden,
      choose: (label, toggle) => this.#choose(label, toggle),
      point: (n) => this.#point(n),
    });
    return this.#data.legend === "table" ? [] : [this.#legend.root];
  }

  #legendLast(): HTMLElement[] {
    return this.#legend && this.#data.legend === "table" ? [this.#legend.root] : [];
  }

  // choose leaves one line alone, or brings all back when it is; or takes one
  // away or back.
  #choose(label: string, toggle: boolean): void {
    const labels = this.#data.lines.map((l) => l.label);
    if (toggle) {
      if (!this.#hidden.delete(label)) this.#hidden.add(label);
      if (this.#hidden.size === labels.length) this.#hidden.clear();
    } else {
      const alone = !this.#hidden.has(label) && this.#hidden.size === labels.length - 1;
      this.#hidden.clear();
      if (!alone) for (const l of labels) if (l !== label) this.#hidden.add(l);
    }
    this.#plot?.setData(this.#columns());
    this.#legend?.refresh(this.#data);
  }

  // point brings one line out, by fading the others.
  #point(n: number | null): void {
    if (this.#data.lines.length > 1) this.#plot?.setSeries(n == null ? null : this.#index(n), { focus: true });
  }

  // paint resolves a custom property to what it is in the current scheme.
  #paint(name: string, alpha = 1): string {
    const key = `${name} ${alpha}`;
    let value = this.#paints.get(key);
    if (value) return value;
    const probe = document.createElement("span");
    probe.style.color = alpha === 1 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
    this.#host.append(probe);
    value = getComputedStyle(probe).color;
    probe.remove();
    this.#paints.set(key, value);
    return value;
  }

  // index is the place of a line in uPlot, and back: what is stacked as
  // columns is painted from the tallest to the lowest.
  #index(n: number): number {
    return this.#upside ? this.#data.lines.length - n : n + 1;
  }

  get #upside(): boolean {
    return !!this.#data.stack && this.#data.kind === "bars";
  }

  // columns are uPlot's rows of numbers; stacked ones are sums from the bottom.
  #columns(): uPlot.AlignedData {
    const { at, lines, stack } = this.#data;
    const shown = (l: Line) => !this.#hidden.has(l.label);
    if (this.#heat) return [at, at.map(() => null)] as uPlot.AlignedData;
    if (!stack) {
      const low = this.#data.log ? 0 : -Infinity;
      return [at, ...lines.map((l) => l.values.map((v) => (shown(l) && typeof v === "number" && v > low ? v : null)))] as uPlot.AlignedData;
    }
    const sums: number[][] = [];
    const rows = lines.map((l) => {
      const group = this.#group(l);
      if (group == null) return l.values.map((v) => (shown(l) ? known(v) : null));
      const sum = (sums[group] ??= at.map(() => 0));
      return l.values.map((v, i) => (shown(l) && known(v) != null ? (sum[i] += known(v)!) : this.#upside && shown(l) ? sum[i] : null));
    });
    return [at, ...(this.#upside ? rows.reverse() : rows)] as uPlot.AlignedData;
  }

  // group is the stack that a line is part of: one for each axis, upwards and
  // downwards; null for a line that stands alone.
  #group(l: Line): number | null {
    return this.#data.stack && !l.alone ? axisAt(this.#data, this.#axes, l) * 2 + (l.below ? 1 : 0) : null;
  }

  #options(): uPlot.Options {
    const data = this.#data;
    const axes = this.#axes;
    const paint: Paint = (name, alpha) => this.#paint(name, alpha);
    const family = getComputedStyle(this.#host).fontFamily;
    return {
      width: this.#canvas.clientWidth || 300,
      height: this.#height,
      padding: [8, axes.some((a) => a.right) ? 4 : 26, 0, axes.every((a) => a.right) ? 26 : 0],
      legend: { show: false },
      focus: { alpha: 0.25 },
      cursor: {
        y: this.#heat,
        sync: { key: "kept", scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true } },
        points: { size: 6, show: !this.#heat && data.kind !== "bars" } as uPlot.Cursor.Points,
        focus: { prox: 24 },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        bind: { dblclick: () => () => this.#back() as unknown as null },
      },
      scales: {
        x: { time: true, range: () => this.#span() },
        ...Object.fromEntries(axes.map((axis, i) => [scaleOf(i), this.#scale(axis, i)])),
      },
      axes: [this.#timeAxis(family), ...axes.map((axis, i) => this.#valueAxis(axis, i, family))],
      series: [{}, ...this.#series()],
      bands: this.#bands(),
      hooks: {
        setCursor: [(u) => this.#moved(u)],
        setSeries: [(_u, i) => (this.#near = i == null || this.#heat ? null : this.#index(i - 1) - (this.#upside ? 0 : 1))],
        setSelect: [(u) => this.#selected(u)],
        drawClear: [(u) => thresholds(u, this.#data, "y", paint, family)],
        draw: [
          (u) => {
            if (this.#heat) cells(u, this.#data, paint);
            else endless(u, this.#data, this.#colors, this.#hidden);
            marks(u, this.#data, paint, family);
            this.#flags.place(u, this.#data);
            if (this.#data.dots) this.#dots.replaceChildren(...dotsOf(u, this.#data));
          },
        ],
      },
    };
  }

  #timeAxis(family: string): uPlot.Axis {
    return { stroke: this.#paint("--muted"), grid: { show: false }, ticks: { show: false }, font: `12px ${family}`, size: 28, gap: 8, space: 76, values: moments };
  }

  #valueAxis({ unit, right }: Axis, i: number, family: string): uPlot.Axis {
    const base = {
      scale: scaleOf(i), side: right ? 1 : 3, stroke: this.#paint("--muted"), ticks: { show: false }, font: `12px ${family}`, size: gutter, gap: 8, space: 32,
      grid: { show: i === 0 && !this.#heat, stroke: this.#paint("--line-soft"), width: 1 },
    } as uPlot.Axis;
    if (this.#heat) {
      const rows = this.#data.lines;
      const every = Math.ceil((rows.length * 18) / this.#height);
      return { ...base, splits: () => rows.map((_, n) => n + 0.5).filter((_, n) => n % every === 0), values: (_u, v) => v.map((n) => rows[Math.floor(n)]?.label ?? "") };
    }
    const lines = this.#on(i);
    const mirrored = lines.some((l) => l.below);
    const counts = lines.every((l) => l.values.every((v) => typeof v !== "number" || Number.isInteger(v)));
    return { ...base, incrs: this.#data.log ? undefined : steps(unit, counts), values: (_u, v) => v.map((n) => (n == null ? "" : (wordFor(this.#data, lines[0], n) ?? axisText(mirrored ? Math.abs(n) : n, unit)))) };
  }

  // on are the lines of an axis.
  #on(i: number): Line[] {
    return this.#data.lines.filter((l) => axisAt(this.#data, this.#axes, l) === i);
  }

  #scale({ unit }: Axis, i: number): uPlot.Scale {
    if (this.#heat) return { range: () => [0, this.#data.lines.length] };
    if (this.#data.log) return { distr: 3 };
    const lines = this.#on(i);
    const flat = this.#data.stack || lines.some((l) => ["bars", "area"].includes(kindOf(this.#data, l)));
    const own = unit === (this.#data.unit ?? "") && i === 0 ? this.#data : nothing; // the ends are those of the chart's own unit
    const min = lines.find((l) => l.min != null)?.min ?? own.min;
    const max = lines.find((l) => l.max != null)?.max ?? own.max;
    const whole = flat || max != null || unit === "ratio" || unit === "percent"; // of a whole: it begins at nothing
    return { range: (_u, lo, hi) => reach(lo, hi, whole, min, max) };
  }

  #series(): uPlot.Series[] {
    if (this.#heat) return [{ scale: "y", paths: () => null, points: { show: false } }];
    const list = this.#data.lines.map((l, n): uPlot.Series => {
      const kind = kindOf(this.#data, l);
      const color = this.#colors[n];
      const fill = kind === "bars" ? color : kind === "area" || this.#group(l) != null || (this.#data.lines.length === 1 && kind === "line") ? this.#paint(this.#names[n], this.#group(l) != null ? 0.35 : 0.12) : undefined;
      return {
        label: l.label,
        scale: scaleOf(axisAt(this.#data, this.#axes, l)),
        stroke: color,
        width: kind === "bars" || kind === "points" ? 0 : 1.5,
        dash: l.dash ? [6, 4] : undefined,
        fill: kind === "points" ? undefined : fill,
        paths: kind === "bars" ? uPlot.paths.bars!({ size: [0.8, 40, 1], radius: 0.1 }) : kind === "points" ? () => null : undefined,
        points: kind === "bars" ? { show: false } : { show: kind === "points", size: 4, fill: color, filter: (u, i, show) => (show ? null : lonely(u, i)) },
        spanGaps: false,
      };
    });
    return this.#upside ? list.reverse() : list;
  }

  // bands fill between a stacked line and the one below it.
  #bands(): uPlot.Band[] | undefined {
    if (!this.#data.stack || this.#upside || this.#heat) return undefined;
    const under: number[] = [];
    return this.#data.lines.flatMap((l, n) => {
      const group = this.#group(l);
      if (group == null) return [];
      const last = under[group];
      under[group] = n + 1;
      return last == null ? [] : [{ series: [n + 1, last] as [number, number], dir: l.below ? 1 : -1 } as uPlot.Band];
    });
  }

  // span is what the time axis shows: what was asked for, else what there is.
  #span(): uPlot.Range.MinMax {
    if (this.#zoomed) return this.#zoomed;
    const { at, from, to } = this.#data;
    if (from && to) return [from, to];
    if (!at.length) return [Date.now() / 1000 - 3600, Date.now() / 1000];
    const [lo, hi] = [at[0], at[at.length - 1]];
    // Columns need half their width at both ends.
    const half = this.#data.kind === "bars" || lo === hi ? stepOf(at) / 2 : 0;
    return [lo - half, hi + half];
  }

  #fit(): void {
    const width = this.#canvas.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#height });
  }

  // moved follows the cursor, whoever moved it: the box is only where the
  // pointer or the keyboard is.
  #moved(u: uPlot): void {
    const i = u.cursor.left != null && u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null;
    this.#legend?.at(i);
    if (i == null || !(u.over.matches(":hover") || this.#cursor != null)) return this.#tip.hide();
    const near = this.#heat ? Math.floor(u.posToVal(u.cursor.top ?? 0, "y")) : this.#near;
    const rows = this.#heat ? heatRows(this.#data, i, this.#colors) : rowsAt(this.#data, this.#colors, this.#hidden, i, near);
    if (this.#heat) for (const row of rows) row.near = row.label === this.#data.lines[near!]?.label;
    const at = this.#data.at[i];
    const reach = u.posToVal(8, "x") - u.posToVal(0, "x");
    this.#tip.show(at, rows, markedAt(this.#data, at, reach), u.valToPos(at, "x") + u.over.offsetLeft, this.#host.clientWidth);
  }

  #selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 6) return;
    this.#zoom(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  // zoom shows a part of the time. The page decides first.
  #zoom(from: number, to: number): void {
    const event = new CustomEvent("kept-zoom", { bubbles: true, composed: true, cancelable: true, detail: { from, to } });
    if (!this.#host.dispatchEvent(event)) return;
    if (this.#data.zoom) return open(from, to);
    this.#zoomed = [from, to];
    this.#plot?.setScale("x", { min: from, max: to });
  }

  #back(): void {
    if (this.#zoomed) {
      this.#zoomed = null;
      const [min, max] = this.#span() as [number, number];
      this.#plot?.setScale("x", { min, max });
    } else if (this.#data.zoom && cameFromHere()) history.back();
  }

  #leave(): void {
    this.#cursor = this.#start = null;
    this.#plot?.setCursor({ left: -10, top: -10 });
    this.#tip.hide();
  }

  #key(e: KeyboardEvent): void {
    const u = this.#plot;
    if (!u || e.target !== this.#canvas || e.ctrlKey || e.metaKey || e.altKey) return;
    const last = this.#data.at.length - 1;
    const i = this.#cursor ?? (e.key === "ArrowRight" || e.key === "Home" ? -1 : last + 1);
    const by = e.shiftKey ? 10 : 1;
    const to = { ArrowLeft: i - by, ArrowRight: i + by, Home: 0, End: last }[e.key];
    if (to != null) this.#step(u, Math.max(0, Math.min(last, to)));
    else if (e.key === "Enter" && this.#cursor != null) this.#pick(u);
    else if (e.key === "Escape" && this.#start != null) {
      this.#start = null;
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    } else if (e.key === "Escape" && (this.#cursor != null || this.#zoomed)) {
      if (this.#cursor != null) this.#leave();
      else this.#back();
    } else return;
    e.preventDefault();
  }

  #step(u: uPlot, i: number): void {
    this.#cursor = i;
    const left = u.valToPos(this.#data.at[i], "x");
    // The third argument, which the types leave out, moves the cursors of the other charts too.
    (u.setCursor as (at: { left: number; top: number }, fire: boolean, share: boolean) => void)({ left, top: u.over.clientHeight / 2 }, true, true);
    if (this.#start != null) {
      const x = u.valToPos(this.#data.at[this.#start], "x");
      u.setSelect({ left: Math.min(x, left), top: 0, width: Math.abs(left - x), height: u.over.clientHeight }, false);
    }
    clearTimeout(this.#saying);
    this.#saying = window.setTimeout(() => (this.#said.textContent = this.#words(i)), 150);
  }

  // pick begins a selection with Enter, and shows it with the next one.
  #pick(u: uPlot): void {
    if (this.#start == null) {
      this.#start = this.#cursor;
      this.#said.textContent = "Selection begins here. Move, then press Enter.";
      return;
    }
    const [from, to] = [this.#data.at[this.#start], this.#data.at[this.#cursor!]].sort((a, b) => a - b);
    this.#start = null;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to > from) this.#zoom(from, to);
  }

  #words(i: number): string {
    const rows = rowsAt(this.#data, this.#colors, this.#hidden, i, null);
    const values = rows.slice(0, 6).map((r) => `${r.label} ${r.text}`);
    const more = rows.length > 6 ? `, and ${rows.length - 6} more` : "";
    return `${moment(this.#data.at[i])}: ${values.join(", ") || "no data"}${more}`;
  }
}

// heatRows are the rows that are not empty, from the top of the drawing.
function heatRows(data: Data, i: number, colors: string[]) {
  const rows = rowsAt(data, colors, new Set(), i, null).filter((r) => r.value > 0);
  const order = data.lines.map((l) => l.label);
  return rows.sort((a, b) => order.indexOf(b.label) - order.indexOf(a.label));
}

const scaleOf = (i: number) => (i === 0 ? "y" : `y${i}`);

// open shows this page with another time.
function open(from: number, to: number): void {
  const url = new URL(location.href);
  // A click that moved a little must not lead to an empty second.
  const middle = (from + to) / 2;
  const half = Math.max(5, (to - from) / 2);
  url.searchParams.set("from", iso(middle - half));
  url.searchParams.set("to", iso(middle + half));
  location.assign(url);
}

const iso = (s: number) => new Date(Math.round(s) * 1000).toISOString().replace(".000", "");

// cameFromHere tells whether the page before was this one with another time.
function cameFromHere(): boolean {
  if (!document.referrer || history.length < 2) return false;
  const before = new URL(document.referrer);
  return before.origin === location.origin && before.pathname === location.pathname && before.search !== location.search;
}

// lonely are the values between two gaps: without a point they would not show.
function lonely(u: uPlot, series: number): number[] | null {
  const values = u.data[series];
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found.length ? found : null;
}
