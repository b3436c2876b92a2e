import htmx from "../../thirdparty/htmx/htmx.esm.js";

interface Internals {
  initSecurity(policy: unknown, sync: unknown, async: unknown): void;
}

function refuse(): never {
  throw new Error("kept: htmx may not compile strings");
}

// The content security policy forbids compiling strings already. Refusing
// first turns a policy violation into an error that names its cause.
htmx.registerExtension("kept", {
  init: (api: Internals) => api.initSecurity(null, refuse, refuse),
});

interface Context {
  select?: string;
  response: { raw: Response };
}

// A request for a part of this page that was led to another page, as happens
// when a login has ended: go there instead of swapping it in.
document.addEventListener("htmx:before:response", (event) => {
  const { raw } = (event as CustomEvent<{ ctx: Context }>).detail.ctx.response;
  if (!raw.redirected || new URL(raw.url).pathname === location.pathname) return;
  event.preventDefault();
  location.href = raw.url;
});

// An answer without the element that was asked for must not empty its place.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = (event as CustomEvent<{ ctx: Context; tasks: { type: string; fragment: DocumentFragment }[] }>).detail;
  const main = tasks.find((task) => task.type === "main");
  if (ctx.select && main && !main.fragment.childElementCount) event.preventDefault();
});

// refresh fetches one element anew and morphs it in place. The source is who
// asks; its failures are quiet when it is a kept-live.
export function refresh(target: Element, source: Element, url = location.pathname + location.search): Promise<void> {
  return htmx.ajax("GET", url, {
    target,
    source,
    swap: "outerMorph",
    push: "false",
    headers: { "HX-Target": `${target.tagName.toLowerCase()}#${target.id}` },
  });
}
