// <kept-chart> draws a chart from the numbers of the table it stands beside.
// The drawing code is fetched only where a chart is.
import type { Drawing } from "./chart";

class Chart extends HTMLElement {
  static observedAttributes = ["data-chart"];
  #drawing: Drawing | null = null;
  #off = new AbortController();

  async connectedCallback(): Promise<void> {
    this.#off = new AbortController();
    const signal = this.#off.signal;
    const { draw } = await import("./chart");
    if (signal.aborted || !this.isConnected) return;
    this.#drawing?.destroy();
    this.#drawing = draw(this);
    document.addEventListener("kept:theme", () => this.#redraw(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw(), { signal });
    const table = this.closest("figure")?.querySelector<HTMLDetailsElement>("details[data-kept-chart-data]");
    if (table && !table.dataset.seen) {
      table.dataset.seen = "1";
      table.open = false;
    }
  }

  attributeChangedCallback(): void {
    this.#drawing?.update();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#drawing?.destroy();
    this.#drawing = null;
  }

  #redraw(): void {
    this.#drawing?.redraw();
  }
}
customElements.define("kept-chart", Chart);
