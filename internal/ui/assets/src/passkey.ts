// <kept-passkey does="sign-in|create|prove" action="/…" next="/…"> asks the
// device for a passkey. It holds a form whose button does it; the form is
// shown where the browser can, and what else stands in the element is not.
// action + "/options" answers with a challenge, action takes the answer.
interface Challenge {
  flow: string;
  publicKey: PublicKeyCredentialCreationOptionsJSON & PublicKeyCredentialRequestOptionsJSON;
}

// Challenges live for ten minutes; a sign-in page may stay open for longer.
const renew = 9 * 60 * 1000;

class Refused extends Error {}

async function post<T>(url: string, body: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("The server could not be reached. Check the connection and try again.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (answer.code === "proof_needed") {
    location.assign("/account/prove?next=" + encodeURIComponent(location.pathname));
    return new Promise(() => {});
  }
  throw new Refused(answer.detail || "Something went wrong. Load the page again.");
}

function explain(error: unknown): string {
  if (error instanceof Refused) return error.message;
  switch ((error as DOMException).name) {
    case "NotAllowedError":
      return "It was cancelled, took too long, or there is no passkey that fits. Try again, or use another way.";
    case "InvalidStateError":
      return "This device has a passkey for your account already.";
    case "SecurityError":
      return "The browser does not allow passkeys at this address.";
  }
  return "The browser could not use a passkey here.";
}

class Passkey extends HTMLElement {
  #off = new AbortController();
  #waiting?: AbortController; // the conditional request, which the button ends
  #timer = 0;

  connectedCallback(): void {
    const form = this.querySelector("form");
    if (!form || !window.PublicKeyCredential?.parseCreationOptionsFromJSON) return;
    for (const el of this.children) (el as HTMLElement).hidden = el !== form;
    this.#off = new AbortController();
    form.addEventListener("submit", (event) => this.#submit(event), { signal: this.#off.signal });
    if (this.#does === "sign-in") void this.#wait();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#stop();
  }

  get #does(): string {
    return this.getAttribute("does") ?? "";
  }

  get #action(): string {
    return this.getAttribute("action") ?? "";
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const button = this.querySelector<HTMLButtonElement>("form button:not([type=button])");
    this.#stop();
    this.#say("");
    if (button) button.disabled = true;
    try {
      await this.#ask();
    } catch (error) {
      if (button) button.disabled = false;
      if (this.#off.signal.aborted) return;
      this.#say(explain(error));
      if (this.#does === "sign-in") void this.#wait();
    }
  }

  // #wait offers passkeys among the suggestions of the address field.
  async #wait(): Promise<void> {
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    this.#stop();
    const waiting = (this.#waiting = new AbortController());
    this.#timer = window.setTimeout(() => void this.#wait(), renew);
    try {
      await this.#ask({ mediation: "conditional", signal: waiting.signal });
    } catch (error) {
      // Nobody has asked for anything, so only what came of a chosen passkey is said.
      if (waiting.signal.aborted || !(error instanceof Refused) || !this.#chosen) return;
      this.#say(error.message);
      void this.#wait();
    }
  }

  #chosen = false;

  #stop(): void {
    clearTimeout(this.#timer);
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  async #ask(how: CredentialRequestOptions = {}): Promise<void> {
    this.#chosen = false;
    const { flow, publicKey } = await post<Challenge>(this.#action + "/options", {}, how.signal ?? undefined);
    const credential =
      this.#does === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
        : await navigator.credentials.get({ ...how, publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
    if (!credential) throw new DOMException("", "NotAllowedError");
    this.#chosen = true;
    const name = this.querySelector<HTMLInputElement>("input[name=name]")?.value ?? "";
    const next = this.getAttribute("next") ?? "";
    const done = await post<{ next: string }>(this.#action, { flow, name, next, credential: (credential as PublicKeyCredential).toJSON() });
    location.assign(done.next);
  }

  #say(text: string): void {
    const alert = this.querySelector<HTMLElement>("[role=alert]");
    const p = alert?.querySelector("p");
    if (!alert || !p) return;
    p.textContent = text;
    alert.hidden = text === "";
    if (text) alert.focus();
  }
}
customElements.define("kept-passkey", Passkey);
