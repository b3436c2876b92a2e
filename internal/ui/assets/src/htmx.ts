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

export interface AjaxOptions {
  target: Element;
  source?: Element;
  swap?: string;
  headers?: Record<string, string>;
}

// refresh fetches one element anew and morphs it in place.
export function refresh(target: Element, url = location.pathname + location.search): Promise<void> {
  return htmx.ajax("GET", url, {
    target,
    source: target,
    swap: "outerMorph",
    push: "false",
    headers: { "HX-Target": `${target.tagName.toLowerCase()}#${target.id}` },
  });
}

export function process(node: Element): void {
  htmx.process(node);
}
