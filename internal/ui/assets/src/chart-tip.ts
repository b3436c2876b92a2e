// The box beside the cursor: the time, what is marked there, and all values,
// the greatest first.
import { measured, type Data } from "./chart-model";
import { moment, swatch } from "./chart-legend";
import { textOf } from "./chart-units";

const most = 14; // rows

export interface Row {
  label: string;
  text: string;
  value: number;
  color: string;
  near: boolean;
}

// rowsAt lists the values of one moment.
export function rowsAt(data: Data, colors: string[], hidden: Set<string>, i: number, near: number | null): Row[] {
  const rows: Row[] = [];
  data.lines.forEach((line, n) => {
    const value = measured(line.values[i]);
    if (value == null || hidden.has(line.label)) return;
    rows.push({ label: line.label, text: textOf(data, line, value), value, color: colors[n], near: n === near });
  });
  return rows.sort((a, b) => b.value - a.value);
}

// markedAt are the texts of the marks that are at most so many seconds away.
export function markedAt(data: Data, at: number, reach: number): string[] {
  return (data.marks ?? []).filter((m) => (m.until ? m.at - reach <= at && at <= m.until + reach : Math.abs(m.at - at) <= reach)).map((m) => m.label);
}

export class Tip {
  readonly root = document.createElement("div");

  constructor() {
    this.root.className = "chart-tip";
    this.root.hidden = true;
    this.root.setAttribute("aria-hidden", "true");
  }

  show(at: number, rows: Row[], marks: string[], left: number, width: number): void {
    const head = document.createElement("p");
    head.textContent = moment(at);
    const list = document.createElement("ul");
    // The one that is pointed at must not be among those left out.
    const near = rows.findIndex((r) => r.near);
    const shown = near >= most ? [...rows.slice(0, most - 1), rows[near]] : rows.slice(0, most);
    for (const row of shown) {
      const li = document.createElement("li");
      if (row.near) li.className = "is-near";
      const name = document.createElement("span");
      name.textContent = row.label;
      const value = document.createElement("b");
      value.textContent = row.text;
      li.append(swatch(row.color), name, value);
      list.append(li);
    }
    const parts: Element[] = [head];
    for (const text of marks.slice(0, 4)) {
      const p = document.createElement("p");
      p.className = "chart-tip-mark";
      p.textContent = text;
      parts.push(p);
    }
    parts.push(list);
    if (rows.length > shown.length) {
      const more = document.createElement("p");
      more.textContent = `and ${rows.length - shown.length} more`;
      parts.push(more);
    }
    if (rows.length === 0) {
      const none = document.createElement("p");
      none.textContent = "no data here";
      parts.push(none);
    }
    this.root.replaceChildren(...parts);
    this.root.hidden = false;
    const own = this.root.offsetWidth;
    const right = left + 14 + own <= width;
    this.root.style.left = `${Math.max(0, Math.min(width - own, right ? left + 14 : left - 14 - own))}px`;
  }

  hide(): void {
    this.root.hidden = true;
  }
}
