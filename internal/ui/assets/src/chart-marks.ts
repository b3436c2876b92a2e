// What stands behind and before the lines: thresholds, marks, and values that
// are off the scale for good.
import type uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import { measured, toneColor, type Data } from "./chart-model";

export type Paint = (name: string, alpha?: number) => string;

// thresholds fills bands and draws lines, under everything else.
export function thresholds(u: uPlot, data: Data, scale: string, paint: Paint, family: string): void {
  const list = data.thresholds ?? [];
  if (!list.length || !u.scales[scale]) return;
  const { left, top, width, height } = u.bbox;
  const pen = u.ctx;
  const y = (v: number) => Math.max(top, Math.min(top + height, v === Infinity ? top : v === -Infinity ? top + height : u.valToPos(v, scale, true)));
  pen.save();
  list.forEach((t, i) => {
    const value = measured(t.value);
    if (value == null) return;
    const color = toneColor(t.tone) ?? "--edge";
    if (t.band) {
      const next = list[i + 1] ? measured(list[i + 1].value) : Infinity;
      const above = y(next ?? Infinity);
      pen.fillStyle = paint(color, 0.1);
      pen.fillRect(left, above, width, y(value) - above);
      return;
    }
    const at = u.valToPos(value, scale, true);
    if (!isFinite(value) || at < top || at > top + height) return;
    pen.strokeStyle = paint(color);
    pen.lineWidth = devicePixelRatio;
    pen.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    pen.beginPath();
    pen.moveTo(left, at);
    pen.lineTo(left + width, at);
    pen.stroke();
    if (!t.label) return;
    pen.font = `${11 * devicePixelRatio}px ${family}`;
    pen.fillStyle = paint("--muted");
    pen.textAlign = "right";
    pen.textBaseline = at - top > 14 * devicePixelRatio ? "bottom" : "top";
    pen.fillText(t.label, left + width - 4 * devicePixelRatio, at + (pen.textBaseline === "top" ? 3 : -2) * devicePixelRatio);
  });
  pen.restore();
}

// marks draws the moments and spans that the numbers are to be compared with.
// A label that would run into the one before is left out; the box at the
// cursor and the page have them all.
export function marks(u: uPlot, data: Data, paint: Paint, family: string): void {
  const { left, top, width, height } = u.bbox;
  const pen = u.ctx;
  let free = -Infinity;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.font = `${11 * devicePixelRatio}px ${family}`;
  pen.lineWidth = devicePixelRatio;
  pen.textAlign = "left";
  pen.textBaseline = "alphabetic"; // the axes leave others behind
  for (const mark of data.marks ?? []) {
    const x = u.valToPos(mark.at, "x", true);
    const end = mark.until ? u.valToPos(mark.until, "x", true) : x;
    if (end < left || x > left + width) continue;
    const color = toneColor(mark.tone) ?? "--text";
    if (mark.until) {
      pen.fillStyle = paint(toneColor(mark.tone) ?? "--edge", 0.14);
      pen.fillRect(x, top, Math.max(end - x, devicePixelRatio), height);
    }
    pen.strokeStyle = paint(color);
    pen.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const line of mark.until ? [x, end] : [x]) {
      pen.beginPath();
      pen.moveTo(line, top);
      pen.lineTo(line, top + height);
      pen.stroke();
    }
    const from = Math.max(x, left);
    const wide = pen.measureText(mark.label).width + 6 * devicePixelRatio;
    const at = from + wide > left + width ? from - wide : from + 4 * devicePixelRatio;
    if (at < free || at < left) continue;
    pen.fillStyle = paint("--text");
    pen.fillText(mark.label, at, top + 10 * devicePixelRatio);
    free = at + wide;
  }
  pen.restore();
}

// endless draws a small triangle at the edge where a value is infinite.
export function endless(u: uPlot, data: Data, colors: string[], hidden: Set<string>): void {
  const { top, height } = u.bbox;
  const size = 4 * devicePixelRatio;
  const pen = u.ctx;
  pen.save();
  data.lines.forEach((line, n) => {
    if (hidden.has(line.label)) return;
    pen.fillStyle = colors[n];
    line.values.forEach((v, i) => {
      if (v !== "+Inf" && v !== "-Inf") return;
      const x = u.valToPos(data.at[i], "x", true);
      const tip = v === "+Inf" ? top : top + height;
      const base = v === "+Inf" ? tip + size * 1.6 : tip - size * 1.6;
      pen.beginPath();
      pen.moveTo(x, tip);
      pen.lineTo(x - size, base);
      pen.lineTo(x + size, base);
      pen.fill();
    });
  });
  pen.restore();
}

// Flags are the marks as elements at the foot of the drawing: they can be
// pointed at, reached with the keyboard and followed.
export class Flags {
  readonly root = document.createElement("div");
  #drawn = "";

  constructor() {
    this.root.className = "chart-flags";
  }

  place(u: uPlot, data: Data): void {
    const width = u.over.clientWidth;
    const at = (data.marks ?? []).map((m) => ({ m, x: Math.round(u.valToPos(Math.max(m.at, u.scales.x.min ?? m.at), "x")) })).filter(({ m, x }) => x >= 0 && x <= width && (m.until ?? m.at) >= (u.scales.x.min ?? -Infinity));
    const drawn = JSON.stringify(at);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.root.replaceChildren(
      ...at.map(({ m, x }) => {
        const el = document.createElement(m.href ? "a" : "span");
        if (el instanceof HTMLAnchorElement) el.href = m.href!;
        el.className = `chart-flag flag-${m.tone ?? "neutral"}`;
        el.title = m.label;
        if (m.href) el.setAttribute("aria-label", m.label);
        el.style.left = `${x}px`;
        if (m.until) el.style.width = `${Math.max(8, Math.min(width, u.valToPos(m.until, "x")) - x)}px`;
        return el;
      }),
    );
  }
}

// dotsOf are single things among those that a line sums up, as elements over
// the drawing: they can be pointed at, reached with the keyboard and followed.
export function dotsOf(u: uPlot, data: Data): HTMLElement[] {
  const { clientWidth: width, clientHeight: height } = u.over;
  return (data.dots ?? []).flatMap((d) => {
    const x = Math.round(u.valToPos(d.at, "x"));
    if (x < 0 || x > width) return [];
    const el = document.createElement(d.href ? "a" : "span");
    if (el instanceof HTMLAnchorElement) {
      el.href = d.href!;
      el.setAttribute("aria-label", d.label);
    }
    el.className = "chart-dot";
    el.title = d.label;
    el.style.left = `${x}px`;
    el.style.top = `${d.foot ? height : Math.max(0, Math.min(height, u.valToPos(d.value, "y")))}px`;
    return [el];
  });
}
