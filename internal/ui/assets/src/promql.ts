// The PromQL editor: CodeMirror in a shadow root, where its styles are adopted
// style sheets and so need no exception in the policy.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { forEachDiagnostic, linter, lintKeymap, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, placeholder } from "@codemirror/view";
import { PromQLExtension } from "../../thirdparty/codemirror-promql/index.js";
import { HybridLint } from "../../thirdparty/codemirror-promql/lint/hybrid.js";
import { again, colors, sheet, theme } from "./editor";

interface Complaint {
  from: number;
  to: number;
  text: string;
}

export class Editor {
  #host: HTMLElement;
  #field: HTMLTextAreaElement;
  #view: EditorView;
  #root: ShadowRoot;
  #promql = new PromQLExtension();
  #off = new AbortController();
  #said = document.createElement("p");
  #complaint: { doc: string; diagnostics: Diagnostic[] } | null = null;

  constructor(host: HTMLElement, field: HTMLTextAreaElement) {
    this.#host = host;
    this.#field = field;
    this.#root = host.shadowRoot ?? host.attachShadow({ mode: "open", delegatesFocus: true });
    this.#said.setAttribute("role", "status");
    this.#said.id = "said";
    this.#root.adoptedStyleSheets = [sheet()];
    if (host.dataset.api) {
      this.#promql.setComplete({ remote: { apiPrefix: host.dataset.api, httpMethod: "GET", lookbackInterval: 12 * 3600 * 1000, httpErrorHandler: () => {} }, maxMetricsMetadata: 5000 });
    }
    this.#promql.activateLinter(false); // its checks come through #check, together with the server's
    this.#read();
    this.#view = new EditorView({ state: this.#state(field.value), root: this.#root });
    this.#root.replaceChildren(this.#view.dom, this.#said);
    const { signal } = this.#off;
    for (const label of field.labels ?? []) label.addEventListener("click", () => this.focus(), { signal });
    field.form?.addEventListener("reset", () => queueMicrotask(() => this.set(field.value)), { signal });
    if (field.autofocus) this.focus();
  }

  #state(text: string): EditorState {
    const run = "run" in this.#host.dataset;
    const label = this.#field.labels?.[0]?.textContent?.trim() || this.#field.getAttribute("aria-label") || "PromQL";
    const send = () => {
      this.#field.form?.requestSubmit();
      return true;
    };
    return EditorState.create({
      doc: text,
      extensions: [
        highlightSpecialChars(), history(), drawSelection(), bracketMatching(), closeBrackets(), EditorView.lineWrapping,
        autocompletion({ icons: false, maxRenderedOptions: 80 }), syntaxHighlighting(colors), theme,
        this.#promql.asExtension(), linter((view) => this.#check(view), { delay: 400, needsRefresh: (update) => update.transactions.some((t) => t.effects.some((e) => e.is(again))) }),
        placeholder(this.#field.placeholder || "PromQL, such as up or rate(node_cpu_seconds_total[5m])"),
        EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": "said", tabindex: "0", spellcheck: "false", autocapitalize: "off", autocorrect: "off" }),
        // Tab leaves the editor, as it leaves any other field.
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...lintKeymap]),
        Prec.high(keymap.of([{ key: "Mod-Enter", run: send }, ...(run ? [{ key: "Shift-Enter", run: insertNewlineAndIndent }] : [])])),
        keymap.of([...(run ? [{ key: "Enter", run: send }] : []), ...defaultKeymap]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) this.#changed();
          this.#say();
        }),
      ],
    });
  }

  set(text: string): void {
    if (text !== this.#view.state.doc.toString()) this.#view.dispatch({ changes: { from: 0, to: this.#view.state.doc.length, insert: text } });
  }

  focus(): void {
    this.#view.focus();
  }

  // complain shows what the server found wrong.
  complain(): void {
    this.#read();
    this.#view.dispatch({ effects: again.of(null) });
  }

  destroy(): void {
    this.#off.abort();
    this.#promql.destroy();
    this.#view.destroy();
    this.#root.replaceChildren();
  }

  #changed(): void {
    this.#field.value = this.#view.state.doc.toString();
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #read(): void {
    this.#complaint = null;
    const text = this.#host.dataset.error;
    if (!text) return;
    const doc = this.#field.value;
    const { from, to, text: message } = JSON.parse(text) as Complaint;
    const place = (bytes: number) => Math.min(doc.length, new TextDecoder().decode(new TextEncoder().encode(doc).slice(0, bytes)).length);
    const start = Math.min(place(from), Math.max(0, doc.length - 1));
    this.#complaint = { doc, diagnostics: [{ from: start, to: Math.max(place(to), Math.min(doc.length, start + 1)), severity: "error", message }] };
  }

  // check is what the server said about this very text, else what the grammar
  // says.
  #check(view: EditorView): readonly Diagnostic[] {
    const doc = view.state.doc.toString();
    if (this.#complaint?.doc === doc) return this.#complaint.diagnostics;
    if (!doc.trim()) return [];
    const found = new HybridLint().promQL()(view) as readonly Diagnostic[];
    return found.map((d) => ({ ...d, message: d.message || "This cannot be read." }));
  }

  // say repeats under the editor what is wrong, for those who do not point at it.
  #say(): void {
    const found: string[] = [];
    forEachDiagnostic(this.#view.state, (d) => found.push(d.message));
    const text = found[0] ?? "";
    if (this.#said.textContent !== text) this.#said.textContent = text;
    this.#view.dom.toggleAttribute("data-bad", found.length > 0);
  }
}
