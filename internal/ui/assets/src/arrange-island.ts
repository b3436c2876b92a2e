import type { Arranging } from "./arrange";

class Arrange extends HTMLElement {
  #arranging: Arranging | null = null;
  #live = false;

  async connectedCallback(): Promise<void> {
    this.#live = true;
    const { Arranging } = await import("./arrange");
    if (this.#live) this.#arranging ??= new Arranging(this);
  }

  disconnectedCallback(): void {
    this.#live = false;
    this.#arranging?.destroy();
    this.#arranging = null;
  }
}
customElements.define("kept-arrange", Arrange);
