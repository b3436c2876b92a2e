// What stands along the axes of a chart.
import type uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import { day, minute, second } from "./time";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// reach is what a value axis shows. Zero is in sight, unless lines are far
// from it and close together; filled ones always stand on it.
export function reach(lo: number | null, hi: number | null, flat: boolean, min?: number, max?: number): uPlot.Range.MinMax {
  if (lo == null || hi == null) return [min ?? 0, max ?? (min ?? 0) + 1];
  const far = !flat && hi - lo < 0.25 * Math.min(Math.abs(lo), Math.abs(hi)) && lo * hi > 0;
  const air = far ? Math.max((hi - lo) * 0.1, Math.abs(hi) * 1e-3) : 0;
  const bottom = min ?? (far ? lo - air : lo >= 0 ? 0 : lo * 1.08);
  const top = max ?? (far ? hi + air : hi <= 0 ? 0 : hi * 1.08);
  return top > bottom ? [bottom, top] : [bottom, bottom + 1];
}

export function gutter(_u: uPlot, labels: string[] | null): number {
  return 16 + Math.max(0, ...(labels ?? []).map((s) => s?.length ?? 0)) * 7;
}

export function moments(_u: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
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
