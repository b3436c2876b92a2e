// <input type="datetime-local" data-kept-utc="2026-03-09T13:05:00Z"> speaks UTC
// to the server and the viewer's time to the viewer. The attribute has the
// moment; the field of a form that is marked data-kept-filters is sent as such.
import { day, minute } from "./time";

function fields(root: ParentNode): NodeListOf<HTMLInputElement> {
  return root.querySelectorAll<HTMLInputElement>("input[type=datetime-local]");
}

function draw(): void {
  for (const field of fields(document)) {
    const utc = field.dataset.keptUtc;
    if (!utc || document.activeElement === field) continue;
    const d = new Date(utc);
    if (!isNaN(d.getTime())) field.value = `${day(d)}T${minute(d)}`;
  }
}

function toUTC(form: Element, data: FormData): void {
  if (!form.matches("form[data-kept-filters]")) return;
  for (const field of fields(form)) {
    const d = new Date(field.value); // without a zone: the viewer's
    if (data.has(field.name) && !isNaN(d.getTime())) data.set(field.name, d.toISOString().replace(".000Z", "Z"));
  }
}

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = (event as CustomEvent).detail;
  const body: unknown = ctx.request.body;
  if (ctx.sourceElement instanceof Element && body instanceof FormData) toUTC(ctx.sourceElement, body);
});
document.addEventListener("formdata", (event) => toUTC(event.target as Element, event.formData));
document.addEventListener("htmx:after:swap", draw);
draw();
