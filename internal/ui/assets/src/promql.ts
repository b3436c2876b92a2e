// The PromQL editor: CodeMirror in a shadow root, where its styles are adopted
// style sheets and so need no exception in the policy.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { forEachDiagnostic, linter, lintKeymap, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec, StateEffect } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "../../thirdparty/codemirror-promql/index.js";
import { HybridLint } from "../../thirdparty/codemirror-promql/lint/hybrid.js";

const theme = EditorView.theme({
  "&": { fontSize: "13px", color: "var(--text)", background: "var(--surface)", border: "1px solid var(--edge)", borderRadius: "var(--radius)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px", borderColor: "var(--accent)" },
  "&[data-bad]": { borderColor: "var(--bad-mark)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", minHeight: "var(--editor-height, 0)", maxHeight: "40vh" },
  ".cm-content": { padding: "5px 0", minHeight: "calc(var(--control) - 2px)", boxSizing: "border-box", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 10px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 24%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--accent-soft)", outline: "1px solid color-mix(in srgb, var(--accent) 40%, transparent)" },
  "&.cm-focused .cm-nonmatchingBracket": { background: "var(--bad-soft)" },
  ".cm-tooltip": { border: "1px solid var(--line)", borderRadius: "var(--radius)", background: "var(--raised)", color: "var(--text)", boxShadow: "var(--shadow-pop)", fontFamily: "var(--font)", zIndex: "20" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "13px", maxHeight: "280px", maxWidth: "min(640px, 92vw)", padding: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", lineHeight: "20px", borderRadius: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent-fill)", color: "var(--accent-ink)" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionDetail": { marginLeft: "12px", fontStyle: "normal", fontFamily: "var(--font)", fontSize: "12px", color: "var(--muted)" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-tooltip.cm-completionInfo": { padding: "8px 10px", maxWidth: "min(360px, 80vw)", fontSize: "13px", lineHeight: "18px" },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid var(--bad-mark)", fontSize: "13px", maxWidth: "min(560px, 90vw)", whiteSpace: "pre-wrap" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn-mark)" },
  ".cm-lintRange-error": { background: "none", textDecoration: "underline wavy var(--bad-mark)", textDecorationSkipInk: "none", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { background: "none", textDecoration: "underline wavy var(--warn-mark)", textUnderlineOffset: "3px" },
  ".cm-lintPoint::after": { borderBottomColor: "var(--bad-mark)" },
});

const colors = HighlightStyle.define([
  { tag: tags.number, color: "var(--good)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: tags.function(tags.variableName), color: "var(--accent)" },
  { tag: tags.labelName, color: "var(--warn)" },
  { tag: tags.operator, color: "var(--muted)" },
  { tag: tags.modifier, color: "var(--accent)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

// again asks for another check of the same text.
const again = StateEffect.define<null>();

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
        EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": "said", spellcheck: "false", autocapitalize: "off", autocorrect: "off" }),
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

let shared: CSSStyleSheet | null = null;
function sheet(): CSSStyleSheet {
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(":host { display: block; min-width: 0; } #said { margin: 4px 0 0; color: var(--bad); font-size: 13px; line-height: 18px; white-space: pre-wrap; overflow-wrap: anywhere; } #said:empty { display: none; }");
  }
  return shared;
}
