// <kept-password> wraps a password field and a button that shows what is typed.
class Password extends HTMLElement {
  #off = new AbortController();

  connectedCallback(): void {
    const input = this.querySelector("input");
    const button = this.querySelector("button");
    if (!input || !button) return;
    this.#off = new AbortController();
    button.hidden = false;
    const show = (on: boolean) => {
      input.type = on ? "text" : "password";
      button.textContent = on ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(on));
    };
    button.addEventListener("click", () => show(input.type === "password"), { signal: this.#off.signal });
    // Browsers remember text fields; never let them remember this one.
    input.form?.addEventListener("submit", () => show(false), { signal: this.#off.signal });
  }

  disconnectedCallback(): void {
    this.#off.abort();
  }
}
customElements.define("kept-password", Password);
