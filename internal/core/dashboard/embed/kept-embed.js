// <kept-panel> shows one panel of a Kept dashboard on any page, <kept-dashboard> all panels that a token is good for.
//
//   <script type="module" src="https://kept.example.com/embed/kept-embed.js"></script>
//   <kept-panel src="https://kept.example.com" panel="cpu" token-src="/kept-token"></kept-panel>
//   <kept-dashboard src="https://kept.example.com" token-src="/kept-token"></kept-dashboard>
//
// Attributes:
//   src        the address of Kept; default: where this script came from
//   panel      id of the panel; not needed where the token is for one
//   token      a token of POST /api/v1/embed/tokens; or one of the next two
//   token-src  an address of your own page that answers {"token": "…"}
//   from, to   the time: "now-6h", "now"; default: that of the dashboard
//   filters    "label=value", several with spaces between: they narrow what the token allows, and never widen it
//   variables  "name=value", several with spaces between
//   refresh    seconds between two looks; default 60, 0 is never
//   height     pixels of a drawing; default 220
// Property:
//   fetchToken an async function that answers a token; called 30 seconds before the present one ends
// Events: "kept-load" when it is drawn, "kept-error" (detail: a text) when it is not.
// Custom properties: --kept-text, --kept-muted, --kept-line, --kept-background, --kept-font, --kept-radius, --kept-good,
// --kept-warn, --kept-bad, --kept-color-1 … --kept-color-8.

const home = new URL(import.meta.url).origin;
const early = 30; // seconds before its end in which a token is replaced
const svgNS = "http://www.w3.org/2000/svg";
const colors = ["#3b6fd4", "#c2700a", "#2c8a57", "#b8417c", "#7a5ad0", "#0e8496", "#98751a", "#b5483a"];

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { display: block; min-width: 0; font: 13px/18px var(--kept-font, system-ui, sans-serif); color: var(--kept-text, #1c2230); background: var(--kept-background, transparent); border-radius: var(--kept-radius, 8px); }
:host([hidden]) { display: none; }
h3 { margin: 0 0 6px; font-size: 14px; line-height: 20px; font-weight: 600; }
p, ul, dl, dd { margin: 0; padding: 0; }
.muted, .axis { color: var(--kept-muted, #5c6575); fill: var(--kept-muted, #5c6575); }
.axis { font-size: 11px; }
.grid { stroke: var(--kept-line, #dfe3ea); stroke-width: 1; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.cursor { stroke: var(--kept-muted, #5c6575); stroke-dasharray: 3 3; }
svg { display: block; width: 100%; overflow: visible; }
ul { display: flex; flex-wrap: wrap; gap: 2px 14px; list-style: none; margin-top: 4px; font-size: 12px; }
li { display: inline-flex; align-items: center; gap: 6px; }
i { flex: none; width: 12px; height: 3px; border-radius: 2px; }
.figures { display: flex; flex-wrap: wrap; gap: 8px 28px; }
.figures dd { font-size: 24px; line-height: 32px; font-weight: 600; }
.bars { display: grid; gap: 8px; }
.bars > div { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; }
.rail { grid-column: 1 / -1; height: 8px; border-radius: 2px; background: var(--kept-line, #dfe3ea); overflow: hidden; }
.rail div { height: 100%; background: var(--kept-color-1, #3b6fd4); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 4px 10px 4px 0; text-align: left; border-bottom: 1px solid var(--kept-line, #dfe3ea); }
.num { text-align: right; font-variant-numeric: tabular-nums; }
td:last-child, th:last-child { padding-right: 0; }
.scroll { overflow-x: auto; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.good { color: var(--kept-good, #1c7c4a); } .warn { color: var(--kept-warn, #9a5a00); } .bad { color: var(--kept-bad, #b3261e); }
.none { display: grid; place-items: center; min-height: 80px; text-align: center; }
`);

// look asks Kept for something, as the visitor that a token stands for.
function look(el, path, token, signal) {
  const base = (el.getAttribute("src") || home).replace(/\/+$/, "");
  return fetch(`${base}/api/v1/embed/${path}`, { headers: { Authorization: `Bearer ${token}` }, signal, credentials: "omit", referrerPolicy: "no-referrer" });
}

// Tokens gets tokens for an element, and keeps one as long as it holds for half a minute more.
class Tokens {
  #el;
  #token = "";
  #asking = null;

  constructor(el) {
    this.#el = el;
  }

  drop() {
    this.#token = "";
  }

  // ask sends a request with a token, and once more with a fresh one where that is refused: the key may have been rotated.
  async ask(send, otherwise) {
    let answer = await send(await this.current(false));
    if (answer.status === 401) answer = await send(await this.current(true));
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.detail || otherwise);
    return data;
  }

  current(fresh) {
    if (!fresh && this.#token && ends(this.#token) - Date.now() / 1000 > early) return this.#token;
    return (this.#asking ??= this.#fetch().finally(() => (this.#asking = null))); // panels of a dashboard ask together
  }

  async #fetch() {
    const el = this.#el;
    if (el.fetchToken) this.#token = await el.fetchToken();
    else if (el.getAttribute("token-src")) {
      const answer = await fetch(el.getAttribute("token-src"), { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error("There is no token for this panel.");
      this.#token = (await answer.json()).token;
    } else this.#token = el.getAttribute("token") ?? "";
    if (!this.#token) throw new Error("There is no token for this panel.");
    return this.#token;
  }
}

class KeptPanel extends HTMLElement {
  static observedAttributes = ["src", "panel", "token", "token-src", "from", "to", "filters", "variables", "refresh", "height"];
  #root = this.attachShadow({ mode: "open" });
  #timer = 0;
  #stop = null;
  #data = null;
  #watch = null;
  #asked = false;
  tokens = new Tokens(this); // those of the dashboard that it is part of, or its own
  fetchToken = null;

  connectedCallback() {
    this.#root.adoptedStyleSheets = [sheet];
    this.#watch = new ResizeObserver(() => this.#data && this.#draw());
    this.#watch.observe(this);
    this.#soon();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#stop?.abort();
    this.#watch?.disconnect();
  }

  attributeChangedCallback(name) {
    if (name === "token") this.tokens.drop();
    if (this.isConnected) this.#soon();
  }

  // soon joins changes of several attributes into one look.
  #soon() {
    if (this.#asked) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      if (this.isConnected) void this.load();
    });
  }

  // load looks at the panel now.
  async load() {
    clearTimeout(this.#timer);
    this.#stop?.abort();
    const stop = (this.#stop = new AbortController());
    try {
      this.#data = await this.tokens.ask((token) => this.#ask(token, stop.signal), "The panel cannot be shown.");
      this.#draw();
      this.dispatchEvent(new CustomEvent("kept-load"));
    } catch (e) {
      if (stop.signal.aborted) return;
      if (!this.#data) this.#say(e.message);
      this.dispatchEvent(new CustomEvent("kept-error", { detail: e.message }));
    }
    if (stop.signal.aborted || !this.isConnected) return;
    const every = Number(this.getAttribute("refresh") ?? 60);
    if (every > 0) this.#timer = setTimeout(() => (document.hidden ? this.#whenSeen() : this.load()), Math.max(every, 5) * 1000);
  }

  #whenSeen() {
    document.addEventListener("visibilitychange", () => this.isConnected && this.load(), { once: true });
  }

  #ask(token, signal) {
    const q = new URLSearchParams();
    for (const name of ["panel", "from", "to"]) if (this.getAttribute(name)) q.set(name, this.getAttribute(name));
    for (const f of words(this.getAttribute("filters"))) q.append("filter", f);
    for (const v of words(this.getAttribute("variables"))) {
      const at = v.indexOf("=");
      if (at > 0) q.append("var-" + v.slice(0, at), v.slice(at + 1));
    }
    q.set("width", String(Math.min(4000, Math.max(100, Math.round(this.clientWidth || 600)))));
    return look(this, `panel?${q}`, token, signal);
  }

  #say(text) {
    this.#root.replaceChildren(make("p", { class: "none muted", role: "status" }, text));
  }

  #draw() {
    const d = this.#data;
    const parts = [make("h3", {}, d.title)];
    if (d.error) parts.push(make("p", { class: "none muted", role: "status" }, d.error));
    else if (d.kind === "text") parts.push(make("div", { class: "text" }, d.text ?? ""));
    else if (!d.lines.length) parts.push(make("p", { class: "none muted" }, "No data in this time."));
    else if (d.kind === "stat") parts.push(figures(d));
    else if (d.kind === "bar") parts.push(bars(d));
    else if (d.kind === "table") parts.push(table(d));
    else parts.push(...(d.kind === "heatmap" ? heat(d, this.#size()) : chart(d, this.#size())));
    this.#root.replaceChildren(...parts);
  }

  #size() {
    return { width: Math.max(120, this.clientWidth || 600), height: Math.max(60, Number(this.getAttribute("height")) || 220) };
  }
}

function words(text) {
  return (text ?? "").split(/\s+/).filter(Boolean);
}

// ends is when a token ends, in seconds since 1970. Its claims are readable; whether they are true is the server's business.
function ends(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp || 0;
  } catch {
    return 0;
  }
}

function make(name, attributes = {}, ...children) {
  const el = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, v);
  el.append(...children);
  return el;
}

function shape(name, attributes = {}, text) {
  const el = document.createElementNS(svgNS, name);
  for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, v);
  if (text != null) el.textContent = text;
  return el;
}

const tint = (i) => `var(--kept-color-${(i % colors.length) + 1}, ${colors[i % colors.length]})`;

function figures(d) {
  return make("dl", { class: "figures" }, ...d.lines.map((l) => make("div", {}, make("dt", { class: "muted" }, l.label), make("dd", { class: tone(l) }, l.last ?? "–"))));
}

function tone(l) {
  return ["good", "warn", "bad"].includes(l.tone) ? l.tone : "";
}

const lastOf = (l) => l.values.findLast((v) => v != null) ?? 0;

function bars(d) {
  const top = d.max ?? (d.unit === "ratio" ? 1 : d.unit === "percent" ? 100 : Math.max(...d.lines.map(lastOf), 0));
  const low = d.min ?? 0;
  return make("dl", { class: "bars" }, ...d.lines.map((l) => {
    const fill = make("div");
    fill.style.width = `${Math.min(100, Math.max(0, (100 * (lastOf(l) - low)) / (top - low || 1)))}%`;
    return make("div", {}, make("dt", {}, l.label), make("dd", { class: tone(l) }, l.last ?? "–"), make("div", { class: "rail", "aria-hidden": "true" }, fill));
  }));
}

function table(d) {
  const t = d.table;
  const names = t.labels.length ? t.labels : ["Series"];
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((n) => make("th", { scope: "col" }, n)), ...t.heads.map((n) => make("th", { scope: "col", class: "num" }, n)))),
    make("tbody", {}, ...t.rows.map((r) => make("tr", {}, ...(t.labels.length ? r.labels : [r.label]).map((v) => make("td", {}, v)), ...r.cells.map((c) => make("td", { class: `num ${tone(c)}` }, c.text)))))));
}

// chart draws lines over time; below them stands what they are and what they are now.
function chart(d, { width, height }) {
  const rows = stacked(d);
  const units = [...new Set([d.unit, ...d.lines.map((l) => unitOf(d, l))])].filter((u) => d.lines.some((l) => unitOf(d, l) === u));
  const axes = units.map((unit, n) => axis(d, rows, unit, n === 0 && unit === d.unit, height));
  const room = (a) => 12 + 6.5 * Math.max(...a.ticks.map((t) => write(t, a.unit).length));
  const left = room(axes[0]);
  const right = axes[1] ? room(axes[1]) : 6;
  const x = (t) => left + ((width - left - right) * (t - d.from)) / (d.to - d.from || 1);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${d.title}, drawn over time; the values now are listed below` });
  axes.slice(0, 2).forEach(({ ticks, y, unit }, n) => {
    for (const t of ticks) {
      if (n === 0) svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: y(t), y2: y(t) }));
      svg.append(shape("text", { class: "axis", x: n === 0 ? left - 6 : width - right + 6, y: y(t) + 4, "text-anchor": n === 0 ? "end" : "start" }, write(t, unit)));
    }
  });
  const count = Math.max(2, Math.min(8, Math.floor((width - left) / 90)));
  for (let i = 0; i <= count; i++) {
    const at = d.from + ((d.to - d.from) * i) / count;
    svg.append(shape("text", { class: "axis", x: x(at), y: height - 4, "text-anchor": i === 0 ? "start" : i === count ? "end" : "middle" }, moment(at, d.to - d.from)));
  }
  rows.forEach((values, i) => {
    const path = shape("path", { class: "line", d: trace(d.at, values, x, axes[units.indexOf(unitOf(d, d.lines[i]))].y) });
    path.style.stroke = tint(i);
    svg.append(path);
  });
  const keys = d.lines.map((l, i) => {
    const mark = make("i");
    mark.style.background = tint(i);
    return make("li", {}, mark, make("span", {}, l.label), make("b", {}, l.last ?? "–"));
  });
  hover(svg, d, keys, x, height);
  return [svg, make("ul", {}, ...keys)];
}

const unitOf = (d, l) => l.unit ?? d.unit;

// axis is the scale of the lines of one unit; the panel's own has its bounds.
function axis(d, rows, unit, own, height) {
  const all = rows.filter((_, i) => unitOf(d, d.lines[i]) === unit).flat().filter((v) => v != null);
  const low = (own ? d.min : null) ?? Math.min(0, ...all);
  const high = (own ? d.max : null) ?? (Math.max(...all, low) * 1.05 || 1);
  const y = (v) => height - 20 - ((height - 28) * (v - low)) / (high - low || 1);
  return { unit, y, ticks: round(low, high, Math.max(2, Math.floor(height / 48))) };
}

// stacked are the heights that are drawn: sums from the bottom where the panel is stacked.
function stacked(d) {
  if (!d.stack) return d.lines.map((l) => l.values);
  const sum = d.at.map(() => 0);
  return d.lines.map((l) => l.values.map((v, i) => (v == null ? null : (sum[i] += v))));
}

function trace(at, values, x, y) {
  let out = "";
  let pen = "M";
  values.forEach((v, i) => {
    if (v == null) return void (pen = "M");
    out += `${pen}${x(at[i]).toFixed(1)} ${y(v).toFixed(1)}`;
    if (pen === "M" && values[i + 1] == null) out += "h.1"; // a point alone
    pen = "L";
  });
  return out;
}

// hover shows the values under the pointer in place of the last ones.
function hover(svg, d, keys, x, height) {
  const cursor = shape("line", { class: "cursor", y1: 4, y2: height - 20, visibility: "hidden" });
  svg.append(cursor);
  const show = (i) => keys.forEach((key, n) => (key.lastChild.textContent = i == null ? (d.lines[n].last ?? "–") : d.lines[n].values[i] == null ? "–" : write(d.lines[n].values[i], unitOf(d, d.lines[n]))));
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect();
    const px = ((e.clientX - box.left) * svg.viewBox.baseVal.width) / (box.width || 1);
    let best = 0;
    d.at.forEach((t, i) => Math.abs(x(t) - px) < Math.abs(x(d.at[best]) - px) && (best = i));
    cursor.setAttribute("x1", x(d.at[best]));
    cursor.setAttribute("x2", x(d.at[best]));
    cursor.setAttribute("visibility", "visible");
    show(best);
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    show(null);
  });
}

// heat draws a row for each bucket, the lowest at the bottom.
function heat(d, { width, height }) {
  const top = Math.max(...d.lines.flatMap((l) => l.values).filter((v) => v != null), 0) || 1;
  const left = 12 + 6.5 * Math.max(...d.lines.map((l) => l.label.length));
  const w = (width - left) / Math.max(1, d.at.length);
  const h = height / Math.max(1, d.lines.length);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${d.title}, a heat map with ${d.lines.length} rows` });
  d.lines.forEach((l, n) => {
    const y = height - (n + 1) * h;
    if (h > 12 || n % Math.ceil(14 / h) === 0) svg.append(shape("text", { class: "axis", x: left - 6, y: y + h / 2 + 4, "text-anchor": "end" }, l.label));
    l.values.forEach((v, i) => {
      if (!v) return;
      const cell = shape("rect", { x: left + i * w, y, width: w + 0.3, height: h + 0.3, "fill-opacity": (0.08 + (0.92 * v) / top).toFixed(2) });
      cell.style.fill = tint(0);
      svg.append(cell);
    });
  });
  return [svg];
}

// round are round numbers between two.
function round(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6 && out.length < 50; v += step) out.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return out;
}

function write(v, unit) {
  if (unit === "ratio") return `${plain(v * 100)} %`;
  if (unit === "percent") return `${plain(v)} %`;
  const seconds = { s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 }[unit];
  if (seconds) return lasting(v * seconds);
  const iec = unit?.startsWith("bytes");
  const names = iec ? ["", "Ki", "Mi", "Gi", "Ti", "Pi"] : ["", "k", "M", "G", "T", "P"];
  let i = 0;
  while (Math.abs(v) >= (iec ? 1000 : 10000) && i < names.length - 1) {
    v /= iec ? 1024 : 1000;
    i++;
  }
  const suffix = { bytes: "B", "bytes/s": "B/s", bits: "bit", "bits/s": "bit/s", Hz: "Hz", W: "W", V: "V", "°C": "°C", "/s": "/s", "/min": "/min" }[unit] ?? "";
  return `${plain(v)} ${names[i]}${suffix}`.trim();
}

function lasting(s) {
  const a = Math.abs(s);
  if (a === 0) return "0";
  if (a < 1e-3) return `${plain(s * 1e6)} µs`;
  if (a < 1) return `${plain(s * 1e3)} ms`;
  if (a < 120) return `${plain(s)} s`;
  if (a < 7200) return `${plain(s / 60)} min`;
  return a < 172800 ? `${plain(s / 3600)} h` : `${plain(s / 86400)} d`;
}

const plain = (v) => String(+v.toPrecision(3));

function moment(at, length) {
  const d = new Date(at * 1000);
  return length > 2 * 86400 ? d.toLocaleDateString(undefined, { day: "numeric", month: "short" }) : d.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

// KeptDashboard shows all panels that its token is good for, in the rows and widths of the dashboard. It passes its
// attributes on to them.
class KeptDashboard extends HTMLElement {
  static observedAttributes = ["src", "token", "token-src"];
  static passed = ["src", "from", "to", "filters", "variables", "refresh"];
  #root = this.attachShadow({ mode: "open" });
  #tokens = new Tokens(this);
  #seen = new MutationObserver(() => this.#pass());
  #watch = new ResizeObserver(() => this.toggleAttribute("data-narrow", this.clientWidth < 640));
  #asked = false;
  fetchToken = null;

  connectedCallback() {
    this.#root.adoptedStyleSheets = [sheet, grid];
    this.#seen.observe(this, { attributeFilter: KeptDashboard.passed });
    this.#watch.observe(this);
    this.attributeChangedCallback();
  }

  disconnectedCallback() {
    this.#seen.disconnect();
    this.#watch.disconnect();
  }

  attributeChangedCallback() {
    this.#tokens.drop();
    if (this.#asked || !this.isConnected) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      if (this.isConnected) void this.load();
    });
  }

  // load asks which panels there are, and makes them.
  async load() {
    try {
      this.#draw(await this.#tokens.ask((token) => look(this, "dashboard", token), "The dashboard cannot be shown."));
      this.dispatchEvent(new CustomEvent("kept-load"));
    } catch (e) {
      this.#root.replaceChildren(make("p", { class: "none muted", role: "status" }, e.message));
      this.dispatchEvent(new CustomEvent("kept-error", { detail: e.message }));
    }
  }

  #draw(d) {
    const parts = [make("h2", {}, d.title)];
    let row = null;
    let cells = null;
    for (const p of d.panels) {
      if (!cells || (p.row ?? "") !== row) {
        row = p.row ?? "";
        if (row) parts.push(make("h3", { class: "row" }, row));
        parts.push((cells = make("div", { class: "grid" })));
      }
      const panel = make("kept-panel", { panel: p.id, height: String(Math.max(80, 30 * p.height - 70)) });
      panel.tokens = this.#tokens;
      panel.style.gridColumn = `span ${p.width}`;
      cells.append(panel);
    }
    if (!d.panels.length) parts.push(make("p", { class: "none muted" }, "This dashboard has no panels."));
    this.#root.replaceChildren(...parts);
    this.#pass();
  }

  #pass() {
    for (const panel of this.#root.querySelectorAll("kept-panel")) {
      for (const name of KeptDashboard.passed) {
        const value = this.getAttribute(name);
        if (value == null) panel.removeAttribute(name);
        else if (panel.getAttribute(name) !== value) panel.setAttribute(name, value);
      }
    }
  }
}

const grid = new CSSStyleSheet();
grid.replaceSync(`
h2 { margin: 0 0 12px; font-size: 18px; line-height: 24px; }
.row { margin: 16px 0 8px; }
.grid { display: grid; grid-template-columns: repeat(24, minmax(0, 1fr)); gap: 12px; }
.grid > * { padding: 10px 14px; border: 1px solid var(--kept-line, #dfe3ea); }
:host([data-narrow]) .grid > * { grid-column: 1 / -1 !important; }
`);

if (!customElements.get("kept-dashboard")) customElements.define("kept-dashboard", KeptDashboard);
if (!customElements.get("kept-panel")) customElements.define("kept-panel", KeptPanel);
