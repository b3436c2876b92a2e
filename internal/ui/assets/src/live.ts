// <kept-live src target> listens to server-sent events and fetches one element
// anew when the server says that something changed. It waits a moment to join
// changes, rests while the tab is hidden, can be paused, and comes back with
// growing delays after the connection broke.
import { refresh } from "./htmx";
import { second } from "./time";

const join = 250; // ms to wait for more changes
const atMost = 1000; // ms between two refreshes
const announceEvery = 30_000; // ms between two spoken announcements
const longest = 30_000; // ms between two attempts to connect

type State = "live" | "paused" | "lost";

const texts: Record<State, [string, string]> = {
  live: ["Live", "Pause live updates"],
  paused: ["Paused", "Resume live updates"],
  lost: ["Reconnecting", "Pause live updates"],
};

class Live extends HTMLElement {
  #source: EventSource | null = null;
  #off = new AbortController();
  #button = document.createElement("button");
  #status = document.createElement("span");
  #paused = false;
  #missed = false;
  #failures = 0;
  #last = 0;
  #spoken = 0;
  #timer = 0;
  #retry = 0;
  #wasOpen = false;

  connectedCallback(): void {
    this.#off = new AbortController();
    this.#draw();
    document.addEventListener("visibilitychange", () => this.#follow(), { signal: this.#off.signal });
    this.#follow();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#disconnect();
    clearTimeout(this.#timer);
  }

  #draw(): void {
    this.#button.type = "button";
    this.#button.className = "live";
    this.#button.addEventListener("click", () => this.#toggle(), { signal: this.#off.signal });
    this.#status.className = "visually-hidden";
    this.#status.setAttribute("role", "status");
    this.replaceChildren(this.#button, this.#status);
  }

  #toggle(): void {
    this.#paused = !this.#paused;
    if (!this.#paused) this.#missed = true;
    this.#follow();
  }

  // follow connects or disconnects as the tab and the pause button ask.
  #follow(): void {
    if (this.#paused || document.hidden) {
      if (this.#source) this.#missed = true;
      this.#disconnect();
      this.#show(this.#paused ? "paused" : "live");
      return;
    }
    if (this.#missed) this.#changed();
    if (!this.#source) this.#connect();
  }

  #connect(): void {
    const src = this.getAttribute("src");
    if (!src) return;
    const source = new EventSource(src);
    this.#source = source;
    source.onopen = () => {
      // Something may have happened while nobody was listening.
      if (this.#wasOpen) this.#changed();
      this.#wasOpen = true;
      this.#failures = 0;
      this.#show("live");
    };
    source.onmessage = () => this.#changed();
    source.addEventListener("changed", () => this.#changed());
    source.onerror = () => this.#again();
    this.#show("live");
  }

  // again replaces the browser's own retry, which neither backs off nor
  // survives an error status.
  #again(): void {
    this.#disconnect();
    this.#show("lost");
    const wait = Math.min(longest, 1000 * 2 ** this.#failures++) * (0.7 + 0.6 * Math.random());
    this.#retry = window.setTimeout(() => this.#follow(), wait);
  }

  #disconnect(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #changed(): void {
    if (this.#paused || document.hidden) {
      this.#missed = true;
      return;
    }
    if (this.#timer) return;
    const wait = Math.max(join, this.#last + atMost - Date.now());
    this.#timer = window.setTimeout(() => this.#refresh(), wait);
  }

  async #refresh(): Promise<void> {
    this.#timer = 0;
    this.#missed = false;
    this.#last = Date.now();
    const target = document.getElementById(this.getAttribute("target") ?? "");
    if (!target) return;
    // Swapping would move what is being selected or typed.
    if (busy(target)) {
      this.#missed = true;
      this.#timer = window.setTimeout(() => this.#refresh(), atMost);
      return;
    }
    await refresh(target, this);
    this.#announce();
    this.dispatchEvent(new CustomEvent("kept:refreshed", { bubbles: true }));
  }

  #announce(): void {
    if (Date.now() - this.#spoken < announceEvery) return;
    this.#spoken = Date.now();
    this.#status.textContent = `Updated at ${second(new Date())}`;
  }

  #show(state: State): void {
    const [label, title] = texts[state];
    this.#button.dataset.state = state;
    this.#button.textContent = label;
    this.#button.title = title;
    this.#button.setAttribute("aria-pressed", String(state === "paused"));
  }
}

function busy(target: Element): boolean {
  const selection = getSelection();
  return !!selection && !selection.isCollapsed && target.contains(selection.anchorNode);
}

customElements.define("kept-live", Live);
