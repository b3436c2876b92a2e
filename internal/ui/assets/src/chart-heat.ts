// Heat maps: a row of cells for each line, the first at the bottom.
import type uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import { known, type Data } from "./chart-model";
import type { Paint } from "./chart-marks";

const shades = 12;

// greatest is the value of the strongest shade.
export function greatest(data: Data): number {
  let max = 0;
  for (const line of data.lines) for (const v of line.values) max = Math.max(max, known(v) ?? 0);
  return max;
}

// shade is between 0 and 1. The root makes the few beside the many visible.
const shade = (v: number, max: number) => (v > 0 && max > 0 ? Math.max(1, Math.ceil(Math.sqrt(v / max) * shades)) / shades : 0);

export function stepOf(at: number[]): number {
  let step = Infinity;
  for (let i = 1; i < at.length; i++) step = Math.min(step, at[i] - at[i - 1]);
  return isFinite(step) ? step : 60;
}

export function cells(u: uPlot, data: Data, paint: Paint): void {
  const pen = u.ctx;
  const max = greatest(data);
  const step = stepOf(data.at);
  const { left, top, width, height } = u.bbox;
  const gap = Math.min(1, (width / Math.max(1, data.at.length)) * 0.08) * devicePixelRatio;
  const fills = Array.from({ length: shades + 1 }, (_, i) => paint("--heat", 0.12 + (0.88 * i) / shades));
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  data.at.forEach((at, i) => {
    // A cell counts what happened in the step that ends at its moment.
    const x = u.valToPos(at - step, "x", true);
    const wide = u.valToPos(at, "x", true) - x - gap;
    data.lines.forEach((line, n) => {
      const v = known(line.values[i]);
      if (!v || v <= 0) return;
      const foot = u.valToPos(n, "y", true);
      const head = u.valToPos(n + 1, "y", true);
      pen.fillStyle = fills[Math.round(shade(v, max) * shades)];
      pen.fillRect(x, head + gap, Math.max(wide, 1), foot - head - gap);
    });
  });
  pen.restore();
}

// scale draws the key: from nothing to the greatest value.
export function scale(max: string, paint: Paint): HTMLElement {
  const root = document.createElement("div");
  root.className = "chart-legend chart-scale";
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", `0 0 ${shades * 8} 8`);
  svg.setAttribute("aria-hidden", "true");
  for (let i = 0; i < shades; i++) {
    const rect = document.createElementNS(ns, "rect");
    for (const [k, v] of Object.entries({ x: i * 8, y: 0, width: 8, height: 8, fill: paint("--heat", 0.12 + (0.88 * (i + 1)) / shades) })) rect.setAttribute(k, String(v));
    svg.append(rect);
  }
  root.append("0", svg, max);
  return root;
}
