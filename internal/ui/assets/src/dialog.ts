// Links that lead to a question open it as a dialog when the page has it.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const target = event.target as Element;
  const opener = target.closest?.<HTMLElement>("[data-kept-open]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.keptOpen ?? "");
    if (dialog instanceof HTMLDialogElement) {
      event.preventDefault();
      dialog.showModal();
    }
    return;
  }
  const closer = target.closest?.("[data-kept-close]");
  const dialog = closer?.closest("dialog");
  if (dialog) {
    event.preventDefault();
    dialog.close();
    return;
  }
  // A click on the backdrop; newer browsers do this by closedby="any".
  if (target instanceof HTMLDialogElement && target.open && !("closedBy" in target)) (target as HTMLDialogElement).close();
});
