// The legend of a chart: names with values, or a table of what the values come
// to. A name is a button: it leaves its line alone, with Control it takes its
// line away, and pointing at it brings its line out.
import { measured, sums, type Data, type Sums } from "./chart-model";
import { textOf } from "./chart-units";
import { exact } from "./time";

export interface Legend {
  root: HTMLElement;
  at(index: number | null): void;
  refresh(data: Data): void;
}
export interface Choices {
  colors: string[];
  right: boolean[]; // which have their axis at the right
  hidden: Set<string>;
  choose(label: string, toggle: boolean): void;
  point(line: number | null): void;
}

export function swatch(color: string, dash?: boolean): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 12 8");
  svg.setAttribute("class", "swatch");
  for (const part of dash ? [{ x: 0, width: 5 }, { x: 7, width: 5 }] : [{ x: 0, width: 12 }]) {
    const mark = document.createElementNS(svg.namespaceURI, "rect") as SVGElement;
    for (const [k, v] of Object.entries({ ...part, y: 2, height: 4, rx: 1.5, fill: color })) mark.setAttribute(k, String(v));
    svg.append(mark);
  }
  return svg;
}

export function legendOf(data: Data, choices: Choices): Legend {
  return data.legend === "table" ? table(data, choices) : list(data, choices);
}

function key(data: Data, n: number, c: Choices): HTMLButtonElement {
  const line = data.lines[n];
  const b = document.createElement("button");
  b.type = "button";
  b.className = "chart-key";
  b.dataset.line = String(n);
  b.title = "Click: this one alone. Ctrl + click: with or without it.";
  const name = document.createElement("span");
  name.className = "chart-name";
  name.textContent = line.label;
  b.append(swatch(c.colors[n], line.dash), name);
  if (c.right[n]) b.append(Object.assign(document.createElement("span"), { className: "chart-side", textContent: "right" }));
  b.addEventListener("click", (e) => c.choose(line.label, e.ctrlKey || e.metaKey || e.shiftKey));
  b.addEventListener("keydown", (e) => {
    if ((e.key !== "Enter" && e.key !== " ") || !(e.ctrlKey || e.metaKey || e.shiftKey)) return;
    e.preventDefault();
    c.choose(line.label, true);
  });
  b.addEventListener("pointerenter", () => c.point(n));
  b.addEventListener("pointerleave", () => c.point(null));
  b.addEventListener("focus", () => c.point(n));
  b.addEventListener("blur", () => c.point(null));
  return b;
}

function press(root: HTMLElement, data: Data, hidden: Set<string>): void {
  root.querySelectorAll<HTMLElement>(".chart-key").forEach((b) => {
    b.setAttribute("aria-pressed", String(!hidden.has(data.lines[Number(b.dataset.line)].label)));
  });
}

function list(data: Data, c: Choices): Legend {
  const root = document.createElement("div");
  root.className = "chart-legend";
  const when = document.createElement("span");
  when.className = "chart-when";
  const values = data.lines.map((_, n) => {
    const b = key(data, n, c);
    const value = document.createElement("b");
    b.append(value);
    root.append(b);
    return value;
  });
  root.append(when);
  let newest = data.lines.map((l) => sums(l).last);
  const at = (i: number | null) => {
    values.forEach((b, n) => {
      const line = data.lines[n];
      const text = textOf(data, line, i == null ? newest[n] : measured(line.values[i]));
      if (b.textContent !== text) b.textContent = text;
    });
    when.textContent = i == null || data.at[i] == null ? "" : moment(data.at[i]);
  };
  const refresh = (next: Data) => {
    data = next;
    newest = data.lines.map((l) => sums(l).last);
    press(root, data, c.hidden);
    at(null);
  };
  refresh(data);
  return { root, at, refresh };
}

export const moment = (s: number) => exact(new Date(s * 1000), "").replace(/\.000 /, " ");

const columns: [keyof Sums, string][] = [["last", "Last"], ["min", "Least"], ["max", "Greatest"], ["mean", "Mean"]];

function table(data: Data, c: Choices): Legend {
  const root = document.createElement("div");
  root.className = "chart-legend-table";
  const el = document.createElement("table");
  const head = el.createTHead().insertRow();
  const body = el.createTBody();
  root.append(el);
  let order: { by: keyof Sums | "label"; down: boolean } | null = null;
  let rows: { tr: HTMLTableRowElement; n: number; sums: Sums }[] = [];

  const sort = () => {
    const { by, down } = order!;
    rows.sort((a, b) => {
      if (by === "label") return (down ? -1 : 1) * data.lines[a.n].label.localeCompare(data.lines[b.n].label);
      const x = a.sums[by];
      const y = b.sums[by];
      if (x == null || y == null) return x === y ? a.n - b.n : x == null ? 1 : -1;
      return (down ? y - x : x - y) || a.n - b.n;
    });
    body.append(...rows.map((r) => r.tr));
    head.querySelectorAll("th").forEach((th) => th.setAttribute("aria-sort", th.dataset.by !== by ? "none" : down ? "descending" : "ascending"));
  };
  for (const [by, text] of [["label", "Series"], ...columns] as [keyof Sums | "label", string][]) {
    const th = document.createElement("th");
    th.scope = "col";
    th.dataset.by = by;
    th.setAttribute("aria-sort", "none");
    if (by !== "label") th.className = "num";
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = text;
    b.addEventListener("click", () => {
      order = { by, down: order?.by === by ? !order.down : by !== "label" };
      sort();
    });
    th.append(b);
    head.append(th);
  }
  rows = data.lines.map((_, n) => {
    const tr = body.insertRow();
    const th = document.createElement("th");
    th.scope = "row";
    th.append(key(data, n, c));
    tr.append(th, ...columns.map(() => Object.assign(document.createElement("td"), { className: "num" })));
    return { tr, n, sums: sums(data.lines[n]) };
  });
  const refresh = (next: Data) => {
    data = next;
    for (const row of rows) {
      const line = data.lines[row.n];
      row.sums = sums(line);
      columns.forEach(([by], i) => (row.tr.cells[i + 1].textContent = textOf(data, line, row.sums[by])));
    }
    press(root, data, c.hidden);
    if (order) sort();
  };
  refresh(data);
  return { root, at: () => {}, refresh };
}
