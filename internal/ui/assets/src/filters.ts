// Filter bars apply while one types. Fields without a value stay out of the
// address.
document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = (event as CustomEvent).detail;
  const body: unknown = ctx.request.body;
  if (!ctx.sourceElement.matches?.("form[data-kept-filters]") || !(body instanceof FormData)) return;
  for (const [name, value] of [...body]) if (value === "") body.delete(name);
});

// The same without htmx taking part: a plain submit of a GET form.
document.addEventListener("formdata", (event) => {
  if (!(event.target as Element).matches("form[data-kept-filters]")) return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});
