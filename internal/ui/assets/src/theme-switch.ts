// <kept-theme> offers the system's colour scheme, light, or dark.
const choices = [
  ["", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

function read(): string {
  return document.documentElement.dataset.theme ?? "";
}

function apply(value: string): void {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  try {
    if (value) localStorage.setItem("kept-theme", value);
    else localStorage.removeItem("kept-theme");
  } catch {
    // It lasts for this page then.
  }
  document.dispatchEvent(new Event("kept:theme"));
}

class Theme extends HTMLElement {
  connectedCallback(): void {
    if (this.firstChild) return;
    const set = document.createElement("fieldset");
    set.className = "segments";
    const legend = document.createElement("legend");
    legend.textContent = "Appearance";
    set.append(legend);
    for (const [value, label] of choices) {
      const box = document.createElement("label");
      const input = document.createElement("input");
      input.type = "radio";
      input.name = "kept-theme";
      input.value = value;
      input.checked = value === read();
      input.addEventListener("change", () => apply(value));
      const text = document.createElement("span");
      text.textContent = label;
      box.append(input, text);
      set.append(box);
    }
    this.append(set);
  }
}
customElements.define("kept-theme", Theme);

// Another tab changed it.
addEventListener("storage", (event) => {
  if (event.key === "kept-theme") apply(event.newValue ?? "");
});
