// What the server says about a chart (ui.Chart in Go), and what follows from
// it without drawing anything.

export interface Line {
  label: string;
  tone?: string;
  unit?: string;
  right?: boolean;
  color?: string;
  kind?: Kind;
  dash?: boolean;
  below?: boolean;
  alone?: boolean;
  min?: number;
  max?: number;
  href?: string;
  words?: Word[];
  values: Value[];
}
// Word is a text in place of values.
export interface Word {
  value?: number;
  from?: number;
  to?: number;
  match?: string;
  none?: boolean;
  text?: string;
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
export interface Dot {
  at: number;
  value: number;
  foot?: boolean;
  label: string;
  href?: string;
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
  words?: Word[];
  dots?: Dot[];
  error?: string;
  empty?: string;
  warnings?: string[];
}

export const nothing: Data = { at: [], lines: [] };

export const unitOf = (data: Data, line: Line): string => line.unit ?? data.unit ?? "";
export const kindOf = (data: Data, line: Line): Kind => line.kind ?? data.kind ?? "line";

// wordFor is the text in place of a value of a line, if it has one.
export function wordFor(data: Data, line: Line | undefined, v: number | null): string | undefined {
  const words = line?.words ?? data.words;
  return words?.find((w) => meets(w, v))?.text;
}

function meets(w: Word, v: number | null): boolean {
  if (v == null || w.none) return v == null && !!w.none;
  if (w.value != null) return v === w.value;
  if (w.match) {
    try {
      return new RegExp(w.match).test(String(v));
    } catch {
      return false; // the server knows more of them than browsers
    }
  }
  return (w.from == null || v >= w.from) && (w.to == null || v <= w.to);
}

// Axis is a scale of values with its side; series of one unit and side share it.
export interface Axis {
  unit: string;
  right: boolean;
}
const axisOf = (data: Data, line: Line): Axis => ({ unit: unitOf(data, line), right: !!line.right });

// axesOf are those of a chart, its own unit's first. Where nobody says otherwise the first is at the left, the others at the right.
export function axesOf(data: Data): Axis[] {
  const list: Axis[] = [];
  for (const line of data.lines) {
    const a = axisOf(data, line);
    if (!list.some((b) => b.unit === a.unit && b.right === a.right)) list.push(a);
  }
  const own = list.findIndex((a) => a.unit === (data.unit ?? "") && !a.right);
  if (own > 0) list.unshift(...list.splice(own, 1));
  return list.map((a, i) => ({ ...a, right: a.right || i > 0 }));
}

// axisAt is the place of a line's axis among them.
export function axisAt(data: Data, axes: Axis[], line: Line): number {
  const { unit, right } = axisOf(data, line);
  return axes.findIndex((a, i) => a.unit === unit && (a.right === right || (i > 0 && !right)));
}

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
const named: Record<string, string> = {
  blue: "--series-1", orange: "--series-2", teal: "--series-3", pink: "--series-4", yellow: "--series-5", sky: "--series-6", purple: "--series-7", brown: "--series-8", green: "--series-9", grey: "--series-10", red: "--bad-mark",
};
export const toneColor = (tone?: string): string | undefined => tones[tone ?? ""];

export const palette = 10;

// colors gives every line the custom property of its colour. One without a
// tone or a colour of its own has a colour that its label chooses, so it keeps it from chart to chart
// and from day to day; only where two labels choose the same, the second moves
// on to the next one that is free.
export function colors(lines: Line[]): string[] {
  const taken = new Set<number>();
  const own = lines.map((line) => named[line.color ?? ""] ?? toneColor(line.tone));
  for (const color of own) if (color?.startsWith("--series-")) taken.add(Number(color.slice(9)) - 1);
  return lines.map((line, n) => {
    if (own[n]) return own[n]!;
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
  const shape = (d: Data) => JSON.stringify([d.view, d.kind, d.stack, d.log, d.unit, d.legend, d.min, d.max, d.error, d.words, d.lines.map(({ values, ...shape }) => shape)]);
  return (a.at.length > 0) === (b.at.length > 0) && shape(a) === shape(b);
}
