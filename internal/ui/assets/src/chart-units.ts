// Numbers in the units of ui.Value, written the way the server does.
import { unitOf, wordFor, type Data, type Line } from "./chart-model";
import { duration } from "./duration";

const iec = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const si = ["", "k", "M", "G", "T", "P", "E"];

const units: Record<string, (n: number) => string> = {
  bytes: (n) => scaled(n, 1024, "B", iec),
  "bytes/s": (n) => scaled(n, 1024, "B/s", iec),
  bits: (n) => scaled(n, 1000, "bit", si),
  "bits/s": (n) => scaled(n, 1000, "bit/s", si),
  s: span,
  ms: (n) => span(n / 1e3),
  us: (n) => span(n / 1e6),
  ns: (n) => span(n / 1e9),
  ratio: (n) => `${number(n * 100)} %`,
  percent: (n) => `${number(n)} %`,
  "%": (n) => `${number(n)} %`,
  "/s": (n) => scaled(n, 1000, "/s", si),
  "/min": (n) => scaled(n, 1000, "/min", si),
  short: (n) => scaled(n, 1000, "", si),
  Hz: (n) => scaled(n, 1000, "Hz", si),
  W: (n) => scaled(n, 1000, "W", si),
  V: (n) => `${number(n)} V`,
  "°C": (n) => `${number(n)} °C`,
};

export function format(n: number | null | undefined, unit: string): string {
  if (n == null || isNaN(n)) return "–";
  if (n === Infinity) return "+Inf";
  if (n === -Infinity) return "−Inf";
  return (units[unit] ?? number)(n);
}

// textOf is a value of a line as people read it.
export function textOf(data: Data, line: Line, n: number | null): string {
  // Downwards is where it is drawn, not what it is.
  return wordFor(data, line, n) ?? format(line.below && n != null ? -n : n, unitOf(data, line));
}

// axisText is format, shorter: an axis has little room.
export function axisText(n: number, unit: string): string {
  if (unit === "s" || unit === "ms" || unit === "us" || unit === "ns") return n === 0 ? "0" : format(n, unit).replace(/ 00 (s|min)$/, "");
  if (!units[unit] && Math.abs(n) >= 1e4) return scaled(n, 1000, "", si);
  return n === 0 ? "0" : format(n, unit);
}

function number(n: number): string {
  const a = Math.abs(n);
  let text: string;
  if (a >= 99.95 && a < 1e15) text = Math.round(a).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  else if (a >= 9.995 && a < 100) text = String(+a.toFixed(1));
  else if ((a >= 0.0095 && a < 10) || a === 0) text = String(+a.toFixed(2));
  else text = a.toPrecision(3).replace(/\.?0+(e|$)/, "$1");
  return n < 0 && text !== "0" ? "−" + text : text;
}

function scaled(n: number, base: number, suffix: string, prefixes: string[]): string {
  let i = 0;
  while (Math.abs(n) >= 999.5 && i < prefixes.length - 1) {
    n /= base;
    i++;
  }
  return `${number(n)} ${prefixes[i]}${suffix}`.trimEnd();
}

function span(s: number): string {
  return s === 0 ? "0 s" : Math.abs(s) > 9e9 ? `${number(s)} s` : duration(s);
}

const decimal = (from: number, to: number, steps: number[]) =>
  Array.from({ length: to - from }, (_, i) => steps.map((s) => +(s * 10 ** (from + i)).toPrecision(6))).flat();

// whole are the steps of an axis of counts: 1, 2, 5, 10, 20, …
const whole = decimal(0, 15, [1, 2, 5]);
const binary = Array.from({ length: 70 }, (_, i) => 2 ** (i - 6));
const clock = [...decimal(-9, 1, [1, 2, 5]), 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, ...[2, 5, 10, 20, 50, 100, 200, 500, 1000].map((d) => d * 86400)];

// steps are the distances that the lines of an axis may have.
export function steps(unit: string, counts: boolean): number[] | undefined {
  if (unit.startsWith("bytes")) return binary;
  const scale = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 }[unit];
  if (scale) return clock.map((s) => s * scale);
  return counts ? whole : undefined;
}
