// Buttons that copy a text: shown once they can work.
import { toast } from "./toast";

function reveal(): void {
  if (!navigator.clipboard && !document.queryCommandSupported?.("copy")) return;
  document.querySelectorAll<HTMLElement>("[data-kept-copy][hidden]").forEach((b) => (b.hidden = false));
}

async function write(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain HTTP on a local network has no clipboard object.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const ok = document.execCommand("copy");
  area.remove();
  if (!ok) throw new Error("refused");
}

document.addEventListener("click", async (event) => {
  const button = (event.target as Element).closest?.<HTMLElement>("[data-kept-copy]");
  if (!button) return;
  const label = button.querySelector("span");
  try {
    await write(button.dataset.keptCopy ?? "");
  } catch {
    toast({ tone: "bad", text: "Copying was refused by the browser. Select the text instead." });
    return;
  }
  if (!label) return;
  const before = label.textContent;
  label.textContent = "Copied";
  button.classList.add("is-done");
  setTimeout(() => {
    label.textContent = before;
    button.classList.remove("is-done");
  }, 1500);
});

reveal();
document.addEventListener("htmx:after:swap", reveal);
