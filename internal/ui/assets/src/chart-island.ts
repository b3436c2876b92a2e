// <kept-chart> draws a chart from the numbers of the table it stands beside,
// or from those that data-src answers. The drawing code is fetched only where
// a chart is.
import type { Data, Drawing } from "./chart";

class Chart extends HTMLElement {
  static observedAttributes = ["data-chart", "data-src", "data-height"];
  #drawing: Drawing | null = null;
  #off = new AbortController();
  #fetched: Data | null = null;
  #timer = 0;
  #loading = false;
  #seen = false;

  async connectedCallback(): Promise<void> {
    this.#off = new AbortController();
    const signal = this.#off.signal;
    const { Drawing } = await import("./chart");
    if (signal.aborted || !this.isConnected) return;
    this.#drawing?.destroy();
    this.#drawing = new Drawing(this, this.#data());
    document.addEventListener("kept:theme", () => this.#drawing?.redraw(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawing?.redraw(), { signal });
    // Paper is light, whatever the screen is.
    matchMedia("print").addEventListener("change", () => this.#drawing?.redraw(), { signal });
    this.#follow(signal);
    const table = this.closest("figure")?.querySelector<HTMLDetailsElement>("details[data-kept-chart-data]");
    if (table && !table.dataset.seen) {
      table.dataset.seen = "1";
      table.open = false;
    }
  }

  attributeChangedCallback(name: string): void {
    if (!this.#drawing) return;
    if (name === "data-src") return void this.#load();
    if (name === "data-height") return this.#drawing.redraw();
    this.#fetched = null;
    this.#drawing.show(this.#data());
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearInterval(this.#timer);
    this.#drawing?.destroy();
    this.#drawing = null;
  }

  #data(): Data {
    return this.#fetched ?? JSON.parse(this.dataset.chart || '{"at":[],"lines":[]}');
  }

  // follow fetches when the chart comes into view, and again as its own
  // interval or the page's says.
  #follow(signal: AbortSignal): void {
    if (!this.dataset.src) return;
    const near = new IntersectionObserver(
      (entries) => {
        const seen = entries.at(-1)!.isIntersecting;
        if (seen && !this.#seen) void this.#load();
        this.#seen = seen;
      },
      { rootMargin: "300px" },
    );
    near.observe(this);
    signal.addEventListener("abort", () => near.disconnect());
    const again = () => {
      if (this.#seen && !document.hidden) void this.#load();
    };
    const every = Number(this.dataset.every);
    if (every > 0) this.#timer = window.setInterval(again, every * 1000);
    else document.addEventListener("kept:tick", again, { signal });
    document.addEventListener("visibilitychange", again, { signal });
  }

  async #load(): Promise<void> {
    const src = this.dataset.src;
    if (!src || this.#loading) return;
    this.#loading = true;
    this.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(src, { signal: this.#off.signal, headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      this.#fetched = (await answer.json()) as Data;
      delete this.dataset.stale;
      this.#drawing?.show(this.#fetched);
    } catch {
      // What is drawn stays, and says that it is old.
      if (!this.#off.signal.aborted) this.dataset.stale = "could not be refreshed";
    } finally {
      this.#loading = false;
      this.removeAttribute("aria-busy");
    }
  }
}
customElements.define("kept-chart", Chart);
