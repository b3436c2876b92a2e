// <kept-push> turns notifications of one channel on and off in this browser.
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const brand = () => {
  const agent = navigator.userAgent;
  const name = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox" : /Chrome\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "Browser";
  const system = /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS" : /Windows/.test(agent) ? "Windows" : /Mac OS/.test(agent) ? "macOS" : /Linux/.test(agent) ? "Linux" : "";
  return system ? name + " on " + system : name;
};

const post = async (url, body) => {
  const response = await fetch(url, { method: "POST", headers: { Accept: "application/json", "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail || "The server did not take it. Load the page again.");
};

class Push extends HTMLElement {
  #on;
  #stop;

  connectedCallback() {
    this.#on = this.querySelector("[data-on]");
    this.#stop = this.querySelector("[data-stop]");
    this.querySelector("[data-off]").hidden = true;
    if (!("serviceWorker" in navigator) || !("PushManager" in window)) {
      this.#say(window.isSecureContext ? "This browser has no notifications for pages." : "Browsers allow notifications only when Kept is reached by https.");
      return;
    }
    this.#on.addEventListener("click", () => this.#run(this.#on, () => this.#begin()));
    this.#stop.addEventListener("click", () => this.#run(this.#stop, () => this.#end()));
    void this.#look();
  }

  async #registration() {
    return navigator.serviceWorker.getRegistration(this.dataset.scope);
  }

  async #subscription() {
    const registration = await this.#registration();
    return registration && new URL(registration.scope).pathname === this.dataset.scope ? registration.pushManager.getSubscription() : null;
  }

  async #look() {
    const subscribed = Boolean(await this.#subscription().catch(() => null));
    this.#on.hidden = subscribed;
    this.#stop.hidden = !subscribed;
  }

  async #run(button, work) {
    button.disabled = true;
    this.#say("");
    try {
      await work();
      location.reload();
    } catch (error) {
      this.#say(error.name === "NotAllowedError" ? "The browser does not allow it. Permit notifications for this site in its settings." : error.message);
      await this.#look();
    } finally {
      button.disabled = false;
    }
  }

  async #begin() {
    if ((await Notification.requestPermission()) !== "granted") {
      throw new DOMException("", "NotAllowedError");
    }
    const registration = await navigator.serviceWorker.register(this.dataset.worker, { scope: this.dataset.scope });
    await this.#active(registration);
    const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(this.dataset.key) });
    const { endpoint, keys } = subscription.toJSON();
    try {
      await post(this.dataset.post, { endpoint, keys, browser: brand() });
    } catch (error) {
      await subscription.unsubscribe();
      throw error;
    }
  }

  async #active(registration) {
    const worker = registration.active || registration.waiting || registration.installing;
    if (!worker || worker.state === "activated") return;
    await new Promise((resolve, reject) => {
      worker.addEventListener("statechange", () => {
        if (worker.state === "activated") resolve();
        if (worker.state === "redundant") reject(new Error("The browser could not start the part that shows notifications."));
      });
    });
  }

  async #end() {
    const subscription = await this.#subscription();
    if (!subscription) return;
    await post(this.dataset.end, { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
    await (await this.#registration())?.unregister();
  }

  #say(text) {
    this.querySelector("[role=status]").textContent = text;
  }
}
customElements.define("kept-push", Push);
