// <kept-json> turns the textarea in it into an editor for JSON. The textarea
// stays: it is what a form sends, and what there is without scripts.
//
//   data-errors  [{"line", "text"}]: what the server found wrong
import type { Editor } from "./json";

class Json extends HTMLElement {
  #editor: Editor | null = null;
  #live = false;

  async connectedCallback(): Promise<void> {
    this.#live = true;
    const field = this.querySelector("textarea");
    if (!field || this.#editor) return;
    const { Editor } = await import("./json");
    if (this.#live && !this.#editor) this.#editor = new Editor(this, field);
  }

  disconnectedCallback(): void {
    this.#live = false;
    this.#editor?.destroy();
    this.#editor = null;
  }

  focus(): void {
    if (this.#editor) this.#editor.focus();
    else this.querySelector("textarea")?.focus();
  }
}
customElements.define("kept-json", Json);
