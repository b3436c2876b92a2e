// What the server says about a chart (ui.Chart in Go), and what follows from
// it without drawing anything.

export interface Line {
  label: string;
  tone?: string;
  unit?: string;
  kind?: Kind;
  dash?: boolean;
  href?: string;
  values: Value[];
}
export type Value = number | null | "+Inf" | "-Inf";
export type Kind = "line" | "area" | "bars" | "points";
export interface Mark {
  at: number;
  until?: number;
  label: string;
  href?: string;
  tone?: string;
}
export interface Threshold {
  value: Value;
  tone?: string;
  label?: string;
  band?: boolean;
}
export interface Data {
  unit?: string;
  view?: "" | "heat";
  kind?: Kind;
  stack?: boolean;
  log?: boolean;
  zoom?: boolean;
  min?: number;
  max?: number;
  legend?: "" | "table" | "none";
  from?: number;
  to?: number;
  at: number[];
  lines: Line[];
  thresholds?: Threshold[];
  marks?: Mark[];
  error?: string;
  empty?: string;
  warnings?: string[];
}

export const nothing: Data = { at: [], lines: [] };

export const unitOf = (data: Data, line: Line): string => line.unit ?? data.unit ?? "";
export const kindOf = (data: Data, line: Line): Kind => line.kind ?? data.kind ?? "line";

// known is the value as a finite number; gaps and infinity are null.
export const known = (v: Value | undefined): number | null => (typeof v === "number" ? v : null);

// measured is the value as a number, with infinity, or null for a gap.
export function measured(v: Value | undefined): number | null {
  return v === "+Inf" ? Infinity : v === "-Inf" ? -Infinity : (v ?? null);
}

const tones: Record<string, string> = {
  good: "--good-mark",
  bad: "--bad-mark",
  warn: "--warn-mark",
  active: "--accent-fill",
  neutral: "--edge",
};
export const toneColor = (tone?: string): string | undefined => tones[tone ?? ""];

export const palette = 10;

// colors gives every line the custom property of its colour. One without a
// tone has a colour that its label chooses, so it keeps it from chart to chart
// and from day to day; only where two labels choose the same, the second moves
// on to the next one that is free.
export function colors(lines: Line[]): string[] {
  const taken = new Set<number>();
  return lines.map((line) => {
    const tone = toneColor(line.tone);
    if (tone) return tone;
    let i = hash(line.label) % palette;
    if (taken.size >= palette) taken.clear();
    while (taken.has(i)) i = (i + 1) % palette;
    taken.add(i);
    return `--series-${i + 1}`;
  });
}

// hash is FNV-1a.
function hash(s: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  return h >>> 0;
}

export interface Sums {
  last: number | null;
  min: number | null;
  max: number | null;
  mean: number | null;
}

export function sums(line: Line): Sums {
  let last: number | null = null;
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let n = 0;
  for (const raw of line.values) {
    const v = measured(raw);
    if (v == null) continue;
    last = v;
    min = Math.min(min, v);
    max = Math.max(max, v);
    sum += v;
    n++;
  }
  return n ? { last, min, max, mean: sum / n } : { last, min: null, max: null, mean: null };
}

// same tells whether a drawing for one can show the other by new numbers alone.
export function same(a: Data, b: Data): boolean {
  const shape = (d: Data) => JSON.stringify([d.view, d.kind, d.stack, d.log, d.unit, d.legend, d.min, d.max, d.error, d.lines.map((l) => [l.label, l.tone, l.unit, l.kind, l.dash, l.href])]);
  return (a.at.length > 0) === (b.at.length > 0) && shape(a) === shape(b);
}
