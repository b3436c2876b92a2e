// <kept-panel src> fills itself with what the address answers, once it comes
// into view, and again on every "kept:tick" (see range.ts) and when src
// changes. What it holds is morphed: charts keep their place and their choices.
import htmx from "../../thirdparty/htmx/htmx.esm.js";

class Panel extends HTMLElement {
  static observedAttributes = ["src"];
  #off = new AbortController();
  #seen = false;
  #loading = false;
  #missed = false;

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    const near = new IntersectionObserver(
      (entries) => {
        const before = this.#seen;
        this.#seen = entries.at(-1)!.isIntersecting;
        if (this.#seen && (!before || this.#missed)) void this.load();
      },
      { rootMargin: "300px" },
    );
    near.observe(this);
    signal.addEventListener("abort", () => near.disconnect());
    document.addEventListener("kept:tick", () => this.#again(), { signal });
  }

  attributeChangedCallback(_name: string, before: string | null): void {
    if (before != null && this.isConnected) this.#again();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#seen = false;
  }

  #again(): void {
    if (this.#seen) void this.load();
    else this.#missed = true;
  }

  async load(): Promise<void> {
    const src = this.getAttribute("src");
    if (!src || this.#loading) return;
    this.#loading = true;
    this.#missed = false;
    this.setAttribute("aria-busy", "true");
    try {
      await htmx.ajax("GET", src, { target: this, source: this, swap: "innerMorph", push: "false", headers: { "HX-Target": `kept-panel#${this.id}` } });
    } finally {
      this.#loading = false;
      this.removeAttribute("aria-busy");
    }
  }
}
customElements.define("kept-panel", Panel);
