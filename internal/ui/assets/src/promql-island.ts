// <kept-promql> turns the textarea in it into an editor for PromQL. The
// textarea stays: it is what a form sends, and what there is without scripts.
//
//   data-api    where completion asks: the path before /labels, /label/…/values, /series and /metadata of Prometheus's API
//   data-run    Enter sends the form (Shift + Enter begins a line); otherwise only Control + Enter does
//   data-error  {"from", "to", "text"}: what the server found wrong, with places in bytes
import type { Editor } from "./promql";

class PromQL extends HTMLElement {
  static observedAttributes = ["data-error"];
  #editor: Editor | null = null;
  #live = false;

  async connectedCallback(): Promise<void> {
    this.#live = true;
    const field = this.querySelector("textarea");
    if (!field || this.#editor) return;
    const { Editor } = await import("./promql");
    if (!this.#live || this.#editor) return;
    this.#editor = new Editor(this, field);
  }

  attributeChangedCallback(): void {
    this.#editor?.complain();
  }

  disconnectedCallback(): void {
    this.#live = false;
    this.#editor?.destroy();
    this.#editor = null;
  }

  get value(): string {
    return this.querySelector("textarea")?.value ?? "";
  }

  set value(text: string) {
    const field = this.querySelector("textarea");
    if (field) field.value = text;
    this.#editor?.set(text);
  }

  focus(): void {
    if (this.#editor) this.#editor.focus();
    else this.querySelector("textarea")?.focus();
  }
}
customElements.define("kept-promql", PromQL);
