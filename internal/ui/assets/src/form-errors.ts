// The summary of a form's errors takes the focus once, when it is the answer
// to a submit.
const met = new WeakSet<Element>();

function focusNew(really: boolean): void {
  const fresh = [...document.querySelectorAll<HTMLElement>("[data-kept-focus]")].filter((el) => !met.has(el));
  fresh.forEach((el) => met.add(el));
  if (really) fresh[0]?.focus();
}

function first(): void {
  const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  // A browser that does not tell the status gets the focus moved.
  focusNew((load?.responseStatus || 422) >= 400);
}

// Going to the fragment of the address takes the focus away once the page has
// loaded, so this comes after.
if (document.readyState === "complete") first();
else addEventListener("load", () => setTimeout(first));
document.addEventListener("htmx:after:swap", () => focusNew(true));
