// <kept-timeline> draws a line at the pointer across all bars and names its
// distance from the start.
import { duration } from "./duration";

class Timeline extends HTMLElement {
  #off = new AbortController();
  #line = document.createElement("span");

  connectedCallback(): void {
    this.#off = new AbortController();
    this.#line.className = "timeline-cursor";
    this.#line.setAttribute("aria-hidden", "true");
    const signal = this.#off.signal;
    this.addEventListener("pointermove", (e) => this.#move(e), { signal });
    this.addEventListener("pointerleave", () => this.#line.remove(), { signal });
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#line.remove();
  }

  #move(event: PointerEvent): void {
    const bar = this.querySelector(".step-bar")?.getBoundingClientRect();
    const seconds = Number(this.dataset.seconds);
    if (!bar || !seconds || event.clientX < bar.left || event.clientX > bar.right) {
      this.#line.remove();
      return;
    }
    const part = (event.clientX - bar.left) / bar.width;
    const own = this.getBoundingClientRect();
    this.#line.style.left = `${event.clientX - own.left}px`;
    this.#line.dataset.text = `+${duration(part * seconds)}`;
    this.#line.classList.toggle("is-right", part > 0.8);
    if (!this.#line.isConnected) this.append(this.#line);
  }
}
customElements.define("kept-timeline", Timeline);
