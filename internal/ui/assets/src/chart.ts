// Draws with uPlot. Fetched only where a chart is.
import uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import { duration } from "./duration";
import { day, exact, minute, second } from "./time";

interface Line {
  label: string;
  tone?: string;
  values: (number | null)[];
}
interface Data {
  unit?: string;
  bars?: boolean;
  stack?: boolean;
  at: number[];
  lines: Line[];
  marks?: { at: number; label: string }[];
}
export interface Drawing {
  update(): void;
  redraw(): void;
  destroy(): void;
}

const tones: Record<string, string> = {
  good: "--good-mark",
  bad: "--bad-mark",
  warn: "--warn-mark",
  active: "--accent-fill",
  neutral: "--edge",
};
const palette = ["--accent-fill", "--warn-mark", "--good-mark", "--bad-mark", "--edge"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function draw(host: HTMLElement): Drawing {
  const legend = document.createElement("div");
  legend.className = "chart-legend";
  const canvas = document.createElement("div");
  host.replaceChildren(legend, canvas);

  const height = Number(host.dataset.height) || 180;
  canvas.style.minHeight = `${height}px`;
  let plot: uPlot | null = null;
  let data = read(host);

  const make = () => {
    plot?.destroy();
    legend.replaceChildren(...keys(host, data));
    plot = new uPlot(options(host, data, canvas.clientWidth || 300, height, (i) => values(legend, data, i)), columns(data), canvas);
    values(legend, data, null);
  };
  make();
  const watch = new ResizeObserver(() => {
    const width = canvas.clientWidth;
    if (plot && width && width !== plot.width) plot.setSize({ width, height });
  });
  watch.observe(canvas);
  return {
    update() {
      const next = read(host);
      const same = next.lines.map((l) => l.label).join() === data.lines.map((l) => l.label).join();
      data = next;
      if (!same || !plot) return make();
      plot.setData(columns(data));
      values(legend, data, null);
    },
    redraw: make,
    destroy() {
      watch.disconnect();
      plot?.destroy();
      host.replaceChildren();
    },
  };
}

function read(host: HTMLElement): Data {
  return JSON.parse(host.dataset.chart || '{"at":[],"lines":[]}');
}

// columns are uPlot's rows of numbers; stacked ones are sums from the bottom.
function columns(data: Data): uPlot.AlignedData {
  if (!data.stack) return [data.at, ...data.lines.map((l) => l.values)] as uPlot.AlignedData;
  const sum = data.at.map(() => 0);
  const rows = data.lines.map((l) => l.values.map((v, i) => (sum[i] += v ?? 0)));
  // The tallest is painted first, so that the others stand before it.
  return [data.at, ...rows.reverse()] as uPlot.AlignedData;
}

function order(data: Data): Line[] {
  return data.stack ? [...data.lines].reverse() : data.lines;
}

// color resolves a custom property to what it is in the current scheme.
function color(host: HTMLElement, name: string, alpha = 1): string {
  const probe = document.createElement("span");
  probe.style.color = alpha === 1 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function lineColor(data: Data, line: Line): string {
  const i = data.lines.indexOf(line);
  return tones[line.tone ?? ""] ?? palette[i % palette.length];
}

function options(host: HTMLElement, data: Data, width: number, height: number, at: (i: number | null) => void): uPlot.Options {
  const font = `12px ${getComputedStyle(host).fontFamily}`;
  const text = color(host, "--muted");
  const grid = { stroke: color(host, "--line-soft"), width: 1 };
  const ticks = { show: false };
  const bars = data.bars ? uPlot.paths.bars!({ size: [0.8, 40, 1], radius: 0.1 }) : undefined;
  return {
    width,
    height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, sync: { key: "kept" }, points: { size: 6 } },
    scales: { x: { time: true, range: data.bars ? (_u, lo, hi) => room(data, lo, hi) : undefined }, y: { range: (_u, lo, hi) => span(lo, hi) } },
    axes: [
      { stroke: text, grid: { show: false }, ticks, font, size: 28, gap: 8, space: 76, values: moments },
      { stroke: text, grid, ticks, font, size: gutter, gap: 8, space: 32, incrs: counts(data) ? whole : undefined, values: (_u, v) => v.map((n) => number(n, data.unit)) },
    ],
    series: [
      {},
      ...order(data).map((l): uPlot.Series => {
        const name = lineColor(data, l);
        return {
          label: l.label,
          stroke: color(host, name),
          width: data.bars ? 0 : 1.5,
          fill: data.bars ? color(host, name) : data.lines.length === 1 || data.stack ? color(host, name, 0.12) : undefined,
          paths: bars,
          points: { show: !data.bars && data.at.length < 2 },
          spanGaps: false,
        };
      }),
    ],
    hooks: { setCursor: [(u) => at(u.cursor.idx ?? null)], draw: [(u) => marks(u, host)] },
  };
}

// counts tells whether all numbers are whole: then halves on the axis would mean nothing.
function counts(data: Data): boolean {
  return data.unit !== "s" && data.unit !== "ms" && data.lines.every((l) => l.values.every((v) => v == null || Number.isInteger(v)));
}

// whole are the steps of such an axis: 1, 2, 5, 10, 20, …
const whole = Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** i)).flat();

// marks draws the moments that the numbers are to be compared with. A label
// that would run into the one before is left out; the page has them all.
function marks(u: uPlot, host: HTMLElement): void {
  const { left, top, width, height } = u.bbox;
  const pen = u.ctx;
  let free = -Infinity;
  pen.save();
  pen.font = `${11 * devicePixelRatio}px ${getComputedStyle(host).fontFamily}`;
  pen.strokeStyle = pen.fillStyle = color(host, "--text");
  pen.lineWidth = devicePixelRatio;
  pen.textAlign = "left";
  pen.textBaseline = "alphabetic"; // the axes leave others behind
  pen.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const mark of read(host).marks ?? []) {
    const x = u.valToPos(mark.at, "x", true);
    if (x < left || x > left + width) continue;
    pen.beginPath();
    pen.moveTo(x, top);
    pen.lineTo(x, top + height);
    pen.stroke();
    const wide = pen.measureText(mark.label).width + 6 * devicePixelRatio;
    const at = x + wide > left + width ? x - wide : x + 4 * devicePixelRatio;
    if (at < free) continue;
    pen.fillText(mark.label, at, top + 10 * devicePixelRatio);
    free = at + wide;
  }
  pen.restore();
}

// room leaves half a column free at both ends.
function room(data: Data, lo: number, hi: number): uPlot.Range.MinMax {
  const half = data.at.length > 1 ? (data.at[1] - data.at[0]) / 2 : 30;
  return [lo - half, hi + half];
}

// span keeps zero in sight and a little air above.
function span(lo: number | null, hi: number | null): uPlot.Range.MinMax {
  if (lo == null || hi == null) return [0, 1];
  const top = hi <= 0 ? 0 : hi * 1.08;
  const bottom = lo >= 0 ? 0 : lo * 1.08;
  return top === bottom ? [0, 1] : [bottom, top];
}

function gutter(_u: uPlot, labels: string[] | null): number {
  return 16 + Math.max(0, ...(labels ?? []).map((s) => s.length)) * 7;
}

function moments(_u: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  let last = "";
  return splits.map((s) => {
    const d = new Date(s * 1000);
    const today = day(d);
    const date = `${d.getDate()} ${months[d.getMonth()]}`;
    const fresh = today !== last && last !== "";
    last = today;
    if (step >= 86400) return date;
    if (fresh) return date;
    return step >= 60 ? minute(d) : second(d);
  });
}

function number(n: number, unit?: string): string {
  if (unit === "s") return n === 0 ? "0" : duration(n);
  if (unit === "ms") return n === 0 ? "0" : duration(n / 1000);
  const a = Math.abs(n);
  if (a >= 1e9) return `${+(n / 1e9).toPrecision(3)} G`;
  if (a >= 1e6) return `${+(n / 1e6).toPrecision(3)} M`;
  if (a >= 1e4) return `${+(n / 1e3).toPrecision(3)} k`;
  return String(+n.toPrecision(3));
}

function keys(host: HTMLElement, data: Data): Element[] {
  const when = document.createElement("span");
  when.className = "chart-when";
  return [
    ...data.lines.map((l) => {
      const key = document.createElement("span");
      key.className = "chart-key";
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 12 8");
      const mark = document.createElementNS(svg.namespaceURI, "rect");
      for (const [k, v] of Object.entries({ x: 0, y: 2.5, width: 12, height: 3, rx: 1.5, fill: color(host, lineColor(data, l)) })) {
        mark.setAttribute(k, String(v));
      }
      svg.append(mark);
      key.append(svg, l.label, " ", document.createElement("b"));
      return key;
    }),
    when,
  ];
}

// values shows the numbers under the cursor, or the newest ones.
function values(legend: Element, data: Data, at: number | null): void {
  const i = at ?? data.at.length - 1;
  legend.querySelectorAll("b").forEach((b, n) => {
    const v = data.lines[n]?.values[i];
    b.textContent = v == null ? "–" : number(v, data.unit);
  });
  const when = legend.querySelector(".chart-when");
  if (when) when.textContent = at == null || data.at[at] == null ? "" : exact(new Date(data.at[at] * 1000), "").replace(/\.000 /, " ");
}
