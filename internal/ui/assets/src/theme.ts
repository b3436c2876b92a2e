// Runs before the first paint, so that a chosen colour scheme never flashes.
// The choice stays on this device.
try {
  const choice = localStorage.getItem("kept-theme");
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
} catch {
  // Storage may be closed to us; the system's choice applies.
}
document.documentElement.classList.add("js");
