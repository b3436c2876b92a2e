// <kept-arrange> lets panels be moved and resized: with the pointer by their
// handles and corners, with the keyboard and with buttons. The form's field
// "layout" follows; saving is the form's. Fetched only where it is needed.

const columns = 24;
const line = 30; // pixels
const edge = 56; // from where on the page scrolls while something is dragged

interface Drop {
  box: HTMLElement | null; // beside which one; null: into an empty row
  grid: HTMLElement;
  after: boolean;
}

export class Arranging {
  #host: HTMLElement;
  #off = new AbortController();
  #changed = false;
  #saying = 0;

  constructor(host: HTMLElement) {
    this.#host = host;
    const { signal } = this.#off;
    host.classList.add("is-live");
    for (const box of this.#boxes()) this.#size(box, Number(this.#class(box, "dw")), Number(this.#class(box, "dh")));
    host.addEventListener("click", (e) => this.#click(e), { signal });
    host.addEventListener("keydown", (e) => this.#key(e), { signal });
    host.addEventListener("pointerdown", (e) => this.#grab(e), { signal });
    const form = host.closest("form");
    form?.addEventListener("submit", () => (this.#changed = false), { signal });
    addEventListener("beforeunload", (e) => this.#changed && e.preventDefault(), { signal });
  }

  destroy(): void {
    this.#off.abort();
    clearTimeout(this.#saying);
  }

  #boxes(within: ParentNode = this.#host): HTMLElement[] {
    return [...within.querySelectorAll<HTMLElement>(".arrange-box")];
  }

  #class(box: HTMLElement, prefix: string): string {
    return [...box.classList].find((c) => c.startsWith(`${prefix}-`))?.slice(prefix.length + 1) ?? "12";
  }

  // size gives a box its columns and lines, and its drawing the height.
  #size(box: HTMLElement, w: number, h: number): boolean {
    w = Math.max(1, Math.min(columns, w));
    h = Math.max(2, Math.min(40, h));
    const same = box.dataset.w === String(w) && box.dataset.h === String(h);
    if (same) return false;
    box.dataset.w = String(w);
    box.dataset.h = String(h);
    for (const c of [...box.classList]) if (/^d[wh]-/.test(c)) box.classList.remove(c);
    box.classList.add(`dw-${w}`, `dh-${h}`);
    box.querySelector(".arrange-size")!.textContent = `${w} × ${h}`;
    const chart = box.querySelector<HTMLElement>("kept-chart");
    if (chart) chart.dataset.height = String(Math.max(80, line * h - 70));
    return true;
  }

  #write(): void {
    const rows = [...this.#host.querySelectorAll(".arrange-row")].map((row) => this.#boxes(row).map((b) => ({ id: b.dataset.panel, w: Number(b.dataset.w), h: Number(b.dataset.h) })));
    const field = this.#host.closest("form")!.elements.namedItem("layout") as HTMLInputElement;
    const text = JSON.stringify(rows);
    this.#changed ||= field.value !== text;
    field.value = text;
  }

  // say tells where a panel is and how large, once it comes to rest.
  #say(box: HTMLElement): void {
    clearTimeout(this.#saying);
    this.#saying = window.setTimeout(() => {
      const row = box.closest<HTMLElement>(".arrange-row")!;
      const all = this.#boxes(row);
      this.#host.querySelector("[data-kept-said]")!.textContent = `${box.dataset.name}: place ${all.indexOf(box) + 1} of ${all.length} in ${row.dataset.title}, ${box.dataset.w} columns wide, ${box.dataset.h} lines high.`;
    }, 120);
  }

  #done(box: HTMLElement): void {
    this.#write();
    this.#say(box);
  }

  // move brings a box one place on, at the end of a row into the next one.
  #move(box: HTMLElement, by: 1 | -1): void {
    const rows = [...this.#host.querySelectorAll<HTMLElement>(".arrange-row .dash-grid")];
    const at = rows.indexOf(box.parentElement!);
    const beside = (by > 0 ? box.nextElementSibling : box.previousElementSibling) as HTMLElement | null;
    if (beside) this.#put(box, { grid: rows[at], box: beside, after: by > 0 });
    else if (by > 0 && rows[at + 1]) this.#put(box, { grid: rows[at + 1], box: this.#boxes(rows[at + 1])[0] ?? null, after: false });
    else if (by < 0 && rows[at - 1]) this.#put(box, { grid: rows[at - 1], box: null, after: true });
  }

  #put(box: HTMLElement, to: Drop): void {
    const focused = this.#host.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
    const before = to.box ? (to.after ? to.box.nextSibling : to.box) : null;
    if (before === box) return;
    to.grid.insertBefore(box, before);
    focused?.focus({ preventScroll: true });
    box.scrollIntoView({ block: "nearest" });
    this.#done(box);
  }

  #do(box: HTMLElement, what: string): boolean {
    const [w, h] = [Number(box.dataset.w), Number(box.dataset.h)];
    const sizes: Record<string, [number, number]> = { narrower: [w - 1, h], wider: [w + 1, h], lower: [w, h - 1], higher: [w, h + 1] };
    if (what === "earlier" || what === "later") this.#move(box, what === "later" ? 1 : -1);
    else if (sizes[what]) this.#size(box, ...sizes[what]) && this.#done(box);
    else return false;
    return true;
  }

  #click(e: Event): void {
    const button = (e.target as Element).closest<HTMLElement>("[data-do]");
    if (button) this.#do(button.closest<HTMLElement>(".arrange-box")!, button.dataset.do!);
  }

  #key(e: KeyboardEvent): void {
    const box = (e.target as Element).closest(".arrange-move")?.closest<HTMLElement>(".arrange-box");
    if (!box || e.ctrlKey || e.metaKey || e.altKey) return;
    const moves: Record<string, string> = { ArrowLeft: "earlier", ArrowUp: "earlier", ArrowRight: "later", ArrowDown: "later" };
    const sizes: Record<string, string> = { ArrowLeft: "narrower", ArrowRight: "wider", ArrowUp: "lower", ArrowDown: "higher" };
    if (this.#do(box, (e.shiftKey ? sizes : moves)[e.key] ?? "")) e.preventDefault();
  }

  #grab(e: PointerEvent): void {
    const target = e.target as Element;
    const box = target.closest<HTMLElement>(".arrange-box");
    if (!box || e.button !== 0) return;
    if (target.closest(".arrange-corner")) this.#resize(e, box);
    else if (target.closest(".arrange-move")) this.#drag(e, box);
  }

  // follow calls move for each step of a pointer and end when it is let go;
  // Escape ends it without a change.
  #follow(e: PointerEvent, move: (e: PointerEvent) => void, end: (kept: boolean) => void): void {
    const holder = e.target as Element;
    holder.setPointerCapture(e.pointerId);
    const off = new AbortController();
    const { signal } = off;
    const stop = (kept: boolean) => {
      off.abort();
      end(kept);
    };
    holder.addEventListener("pointermove", (m) => move(m as PointerEvent), { signal });
    holder.addEventListener("pointerup", () => stop(true), { signal });
    holder.addEventListener("pointercancel", () => stop(false), { signal });
    addEventListener("keydown", (k) => k.key === "Escape" && stop(false), { signal });
  }

  #resize(e: PointerEvent, box: HTMLElement): void {
    e.preventDefault();
    const [w, h, x, y] = [Number(box.dataset.w), Number(box.dataset.h), e.clientX, e.clientY + scrollY];
    const column = box.parentElement!.clientWidth / columns;
    box.classList.add("is-held");
    this.#follow(
      e,
      (m) => this.#size(box, w + Math.round((m.clientX - x) / column), h + Math.round((m.clientY + scrollY - y) / line)),
      (kept) => {
        box.classList.remove("is-held");
        if (!kept) this.#size(box, w, h);
        this.#done(box);
      },
    );
  }

  #drag(e: PointerEvent, box: HTMLElement): void {
    let drop: Drop | null = null;
    let held = false;
    const [x, y] = [e.clientX, e.clientY];
    const show = (next: Drop | null) => {
      drop?.box?.classList.remove("drop-before", "drop-after");
      drop?.grid.classList.remove("drop-into");
      drop = next;
      if (next?.box) next.box.classList.add(next.after ? "drop-after" : "drop-before");
      else next?.grid.classList.add("drop-into");
    };
    this.#follow(
      e,
      (m) => {
        if (!held && Math.hypot(m.clientX - x, m.clientY - y) < 5) return;
        held = true;
        box.classList.add("is-held");
        if (m.clientY < edge) scrollBy(0, -12);
        else if (m.clientY > innerHeight - edge) scrollBy(0, 12);
        show(this.#under(m, box));
      },
      (kept) => {
        box.classList.remove("is-held");
        const to = drop;
        show(null);
        if (kept && to) this.#put(box, to);
      },
    );
  }

  // under is where a panel would land.
  #under(e: PointerEvent, held: HTMLElement): Drop | null {
    const at = document.elementFromPoint(e.clientX, e.clientY);
    const grid = at?.closest<HTMLElement>(".arrange-row")?.querySelector<HTMLElement>(".dash-grid");
    if (!grid || !this.#host.contains(grid)) return null;
    const box = at!.closest<HTMLElement>(".arrange-box");
    if (!box) return { box: null, grid, after: true };
    if (box === held) return null;
    const r = box.getBoundingClientRect();
    const wide = r.width > grid.clientWidth * 0.9;
    return { box, grid, after: wide ? e.clientY > r.top + r.height / 2 : e.clientX > r.left + r.width / 2 };
  }
}
