// Messages in the corner. Good news leaves by itself; bad news stays until it
// is dismissed. A pointer or focus on a message keeps it.
export interface Toast {
  tone?: string;
  text: string;
  href?: string;
  link?: string;
}

const stay = 6000;

function region(bad: boolean): Element | null {
  return document.querySelector(`#toasts > [aria-live=${bad ? "assertive" : "polite"}]`);
}

export function toast(t: Toast): void {
  const el = document.createElement("div");
  el.className = `toast toast-${t.tone || "neutral"}`;
  const p = document.createElement("p");
  p.textContent = t.text;
  if (t.href) {
    const a = document.createElement("a");
    a.href = t.href;
    a.textContent = t.link || "Show";
    p.append(" ", a);
  }
  el.append(p);
  region(t.tone === "bad")?.append(el);
  arm(el);
}

function arm(el: HTMLElement): void {
  if (el.dataset.armed) return;
  el.dataset.armed = "1";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  close.addEventListener("click", () => el.remove());
  el.append(close);
  if (el.classList.contains("toast-bad")) return;
  let timer = 0;
  const start = () => (timer = window.setTimeout(() => el.remove(), stay));
  const hold = () => clearTimeout(timer);
  el.addEventListener("pointerenter", hold);
  el.addEventListener("pointerleave", start);
  el.addEventListener("focusin", hold);
  el.addEventListener("focusout", start);
  start();
}

document.querySelectorAll<HTMLElement>("#toasts .toast").forEach(arm);
// The server sends a toast in the HX-Trigger header.
document.addEventListener("kept:toast", (e) => {
  if (!quiet(e.target)) toast((e as CustomEvent<Toast>).detail);
});
document.addEventListener("htmx:error", (e) => {
  if (quiet((e as CustomEvent).detail?.ctx?.sourceElement)) return;
  toast({ tone: "bad", text: "The server could not be reached. Check the connection and try again." });
});

// Live updates try again by themselves and must not fill the screen.
function quiet(source: unknown): boolean {
  return source instanceof Element && source.closest("kept-live") !== null;
}
