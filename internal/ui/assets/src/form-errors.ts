// The summary of a form's errors takes the focus once, when it is the answer
// to a submit.
const met = new WeakSet<Element>();

function focusNew(really: boolean): void {
  document.querySelectorAll<HTMLElement>("[data-kept-focus]").forEach((el) => {
    if (met.has(el)) return;
    met.add(el);
    if (really) el.focus();
  });
}

const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
// A browser that does not tell the status gets the focus moved.
focusNew((load?.responseStatus || 422) >= 400);
document.addEventListener("htmx:after:swap", () => focusNew(true));
