// <kept-range> is the picker of the time: it shows moments in the viewer's
// zone, and says on every tick of the refresh interval that it is time to look
// again ("kept:tick" on the document).
import { refresh } from "./htmx";
import { day, second, zone } from "./time";

class Range extends HTMLElement {
  static observedAttributes = ["data-every"];
  #off = new AbortController();
  #timer = 0;

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    this.addEventListener("toggle", () => this.#local(), { signal, capture: true });
    this.addEventListener("submit", (e) => this.#submit(e), { signal });
    this.addEventListener("change", (e) => (e.target as HTMLElement).closest<HTMLFormElement>(".range-every")?.requestSubmit(), { signal });
    this.#start();
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#start();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearInterval(this.#timer);
  }

  #start(): void {
    clearInterval(this.#timer);
    const every = Number(this.dataset.every);
    if (every > 0) this.#timer = window.setInterval(() => this.#tick(), every * 1000);
  }

  #tick(): void {
    if (document.hidden) return;
    document.dispatchEvent(new CustomEvent("kept:tick"));
    const target = document.getElementById(this.dataset.target ?? "");
    if (target) void refresh(target, this);
  }

  // local shows in the fields what the server wrote in UTC.
  #local(): void {
    for (const field of this.#fields()) {
      const d = new Date(`${field.getAttribute("value")}Z`);
      if (field.dataset.local || isNaN(d.getTime())) continue;
      field.dataset.local = "1";
      field.value = `${day(d)}T${second(d)}`;
    }
    this.querySelectorAll(".range-zone").forEach((el) => (el.textContent = zone(new Date())));
  }

  #submit(event: Event): void {
    const form = event.target as HTMLFormElement;
    for (const field of this.#fields()) {
      if (field.form !== form || !field.dataset.local) continue;
      const d = new Date(field.value);
      if (isNaN(d.getTime())) continue;
      field.type = "text"; // a field for local times cannot hold the zone
      field.value = d.toISOString().replace(".000", "");
    }
  }

  #fields(): NodeListOf<HTMLInputElement> {
    return this.querySelectorAll<HTMLInputElement>('input[name="from"][step], input[name="to"][step]');
  }
}
customElements.define("kept-range", Range);
