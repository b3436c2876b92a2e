// In a table marked data-kept-rows j and k move from row to row, and / goes to
// the search field above it. Enter follows the row's link, as it always does.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const links = [...document.querySelectorAll<HTMLAnchorElement>("table[data-kept-rows] tbody th a")];
  if (event.key === "/") {
    const search = document.querySelector<HTMLInputElement>("form[data-kept-filters] input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.select();
    search.focus();
    return;
  }
  const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
  if (!step || !links.length) return;
  event.preventDefault();
  const row = document.activeElement?.closest("tr");
  const at = links.findIndex((link) => link.closest("tr") === row);
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
});

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select, textarea"));
}
