// The JSON editor: colours, line numbers, and what is wrong beside the line.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, indentUnit, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { linter, lintKeymap, type Diagnostic } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { colors, sheet, theme } from "./editor";

interface Complaint {
  line: number;
  text: string;
}

const grammar = StreamLanguage.define<{ key: boolean }>({
  startState: () => ({ key: false }),
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return stream.match(/^\s*:/, false) ? "propertyName" : "string";
    if (stream.match(/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return "number";
    if (stream.match(/^(?:true|false|null)\b/)) return "keyword";
    if (stream.match(/^[[\]{}:,]/)) return "operator";
    stream.next();
    return "invalid";
  },
  languageData: { closeBrackets: { brackets: ["{", "[", '"'] } },
});

const look = EditorView.theme({
  ".cm-scroller": { maxHeight: "72vh" },
  ".cm-gutters": { background: "var(--sunken)", color: "var(--muted)", border: "0", borderRadius: "var(--radius) 0 0 var(--radius)" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "color-mix(in srgb, var(--accent) 7%, transparent)" },
});

export class Editor {
  #view: EditorView;
  #said = document.createElement("p");
  #field: HTMLTextAreaElement;
  #complaints: Complaint[];
  #first: string;

  constructor(host: HTMLElement, field: HTMLTextAreaElement) {
    this.#field = field;
    this.#first = field.value;
    this.#complaints = JSON.parse(host.dataset.errors || "[]");
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [sheet()];
    this.#said.id = "said";
    this.#said.setAttribute("role", "status");
    this.#view = new EditorView({
      root,
      state: EditorState.create({
        doc: field.value,
        extensions: [
          lineNumbers(), history(), drawSelection(), bracketMatching(), closeBrackets(), highlightActiveLine(), indentUnit.of("  "), grammar, syntaxHighlighting(colors), theme, look,
          linter((view) => this.#check(view), { delay: 300 }),
          // Tab leaves the editor, as it leaves any other field.
          keymap.of([...closeBracketsKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap]),
          EditorView.contentAttributes.of({ "aria-label": field.labels?.[0]?.textContent?.trim() || "JSON", "aria-describedby": "said", tabindex: "0", spellcheck: "false", autocapitalize: "off", autocorrect: "off" }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) this.#field.value = this.#view.state.doc.toString();
          }),
        ],
      }),
    });
    root.replaceChildren(this.#view.dom, this.#said);
    for (const label of field.labels ?? []) label.addEventListener("click", () => this.focus());
    const wrong = this.#complaints[0];
    if (wrong) this.#go(wrong.line);
  }

  focus(): void {
    this.#view.focus();
  }

  destroy(): void {
    this.#view.destroy();
  }

  #line(n: number) {
    const doc = this.#view.state.doc;
    return doc.line(Math.max(1, Math.min(doc.lines, n)));
  }

  #go(n: number): void {
    const { from } = this.#line(n);
    this.#view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
  }

  // check is what the server said about this very text, else whether it is JSON.
  #check(view: EditorView): Diagnostic[] {
    const doc = view.state.doc.toString();
    const found = doc === this.#first && this.#complaints.length ? this.#complaints : syntax(doc);
    const text = found.length ? `Line ${found[0].line}: ${found[0].text}` : "";
    if (this.#said.textContent !== text) this.#said.textContent = text;
    view.dom.toggleAttribute("data-bad", found.length > 0);
    return found.map(({ line, text: message }) => {
      const { from, to, text } = this.#line(line);
      return { from: from + (text.length - text.trimStart().length), to: Math.max(to, from), severity: "error", message };
    });
  }
}

// syntax is what is wrong with a text as JSON. Browsers do not always say
// where: it is the first line with which the text is more than unfinished.
function syntax(doc: string): Complaint[] {
  const wrong = (text: string): string => {
    try {
      JSON.parse(text);
      return "";
    } catch (e) {
      return (e as Error).message;
    }
  };
  const message = wrong(doc);
  if (!message) return [];
  const lines = doc.split("\n");
  const bad = (n: number) => {
    const text = lines.slice(0, n).join("\n");
    const said = wrong(text);
    const at = /position (\d+)/.exec(said);
    return said !== "" && !/end of (JSON|data)|[Uu]nterminated/.test(said) && !(at && Number(at[1]) >= text.trimEnd().length);
  };
  let [low, high] = [1, lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bad(middle)) high = middle;
    else low = middle + 1;
  }
  const text = message.replace(/^JSON\.parse: /, "").replace(/,? ?(in JSON )?at (position|line) .*$/s, "").replace(/, (\.\.\.)?".*is not valid JSON$/s, "");
  return [{ line: low, text: `${text}.` }];
}
